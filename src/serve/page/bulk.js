// Many texts through POST /v1/emotions/bulk. A browser sends a whole body before it reads an answer, so each request stays small
// enough to lie in the sockets' buffers: neither side can then wait for the other.

import { ApiError, send } from "./api.js";
import { wellFormed } from "./places.js";

const LINES = 64;
const BYTES = 48 * 1024;
/** Requests on their way at a time; the server reads sixteen lines of each. */
const AT_ONCE = 2;
/** Tries without one more row answered. */
const TRIES = 5;

/** Cuts `rows` (`{id, text}`) into what one request brings: lines by the id of their row. */
export function chunks(rows, extra = {}) {
    const found = [];
    let bytes = Infinity;
    for (const { id, text } of rows) {
        const line = `${JSON.stringify({ id: String(id), input: wellFormed(text), ...extra })}\n`;
        if (bytes + line.length > BYTES || found.at(-1).size >= LINES) {
            found.push(new Map());
            bytes = 0;
        }
        found.at(-1).set(String(id), line);
        bytes += line.length;
    }
    return found;
}

/** Asks for all rows. `each(id, outcome)` hears `{answer}` or `{error}` once a row; `waits(seconds)` that the server asks for patience. */
export async function classifyAll(rows, { model, signal, each, waits }) {
    const waiting = chunks(rows, model ? { model } : {});
    const worker = async () => {
        for (let chunk = waiting.shift(); chunk; chunk = waiting.shift()) await ask(chunk, { signal, each, waits });
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Asks for the lines of one request, and again for those that the server could not take yet, as long as some get through. */
async function ask(lines, { signal, each, waits }) {
    let open = lines;
    for (let tried = 1; open.size; tried += 1) {
        const last = tried >= TRIES;
        let seconds = 2 ** (tried - 1);
        try {
            const request = { type: "application/x-ndjson", accept: "application/x-ndjson", signal };
            const response = await send("v1/emotions/bulk", { ...request, body: [...open.values()].join("") });
            const rest = await readAll(response, open, { each, last });
            if (rest.size < open.size) tried = 0;
            open = rest;
            if (!open.size) return;
        } catch (error) {
            if (!(error instanceof ApiError) || error.retryAfter === null || last) throw error;
            seconds = error.retryAfter;
        }
        waits(seconds);
        await pause(seconds * 1000, signal);
    }
}

/** Reads answers as they come. The lines to ask for again: refused for now, or not reached; none of them the `last` time. */
async function readAll(response, lines, { each, last }) {
    const open = new Map(lines);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const answers = (rest + part.value).split("\n");
        rest = answers.pop();
        for (const answer of answers) {
            const { id, ...outcome } = JSON.parse(answer);
            if (outcome.error?.retryable && !last) continue;
            if (open.delete(id)) each(id, outcome);
        }
    }
    if (!last) return open;
    for (const id of open.keys())
        each(id, { error: { title: "Not answered", detail: "the server ended before this row", code: "unanswered" } });
    return new Map();
}

function pause(ms, signal) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener(
            "abort",
            () => {
                clearTimeout(timer);
                reject(signal.reason);
            },
            { once: true },
        );
    });
}
