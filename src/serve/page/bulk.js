// Many texts through POST /v1/emotions/bulk. A browser sends a whole body before it reads an answer, so each request stays small
// enough to lie in the sockets' buffers: neither side can then wait for the other.

import { ApiError, send } from "./api.js";
import { wellFormed } from "./places.js";

const LINES = 64;
const BYTES = 48 * 1024;
/** Requests on their way at a time; the server reads sixteen lines of each. */
const AT_ONCE = 2;
const TRIES = 6;

/** Cuts `rows` (`{id, text}`) into bodies of lines. */
export function chunks(rows, extra = {}) {
    const found = [];
    let open = null;
    for (const { id, text } of rows) {
        const line = `${JSON.stringify({ id: String(id), input: wellFormed(text), ...extra })}\n`;
        if (!open || open.ids.length >= LINES || open.body.length + line.length > BYTES) {
            open = { ids: [], body: "" };
            found.push(open);
        }
        open.ids.push(String(id));
        open.body += line;
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

async function ask(chunk, { signal, each, waits }) {
    for (let tried = 1; ; tried += 1) {
        try {
            const response = await send("v1/emotions/bulk", {
                body: chunk.body,
                type: "application/x-ndjson",
                accept: "application/x-ndjson",
                signal,
            });
            return await readAll(response, new Set(chunk.ids), each);
        } catch (error) {
            if (!(error instanceof ApiError) || error.retryAfter === null || tried >= TRIES) throw error;
            waits(error.retryAfter);
            await pause(error.retryAfter * 1000, signal);
        }
    }
}

/** Reads lines as they come. What the server did not get to is an error of its own. */
async function readAll(response, open, each) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const lines = (rest + part.value).split("\n");
        rest = lines.pop();
        for (const line of lines) {
            const { id, ...outcome } = JSON.parse(line);
            if (open.delete(id)) each(id, outcome);
        }
    }
    for (const id of open) each(id, { error: { title: "Not answered", detail: "the server ended before this row", code: "unanswered" } });
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
