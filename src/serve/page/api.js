// Talks to this server, and to no other: every address is relative to the page. An API key lives in memory, or in this tab's
// session storage when that was asked for; never in an address.

/** An answer that is no answer: a problem document, or no connection. */
export class ApiError extends Error {
    constructor(problem, status, retryAfter) {
        super(problem.detail ?? problem.title ?? "the server gave no reason");
        this.problem = problem;
        this.status = status;
        this.retryAfter = retryAfter;
    }
}

const STORED = "limbic-key";
let key = stored();

function stored() {
    try {
        return sessionStorage.getItem(STORED) ?? "";
    } catch {
        return "";
    }
}

export const hasKey = () => key !== "";

/** From now on requests carry `value`; an empty one takes the key back. */
export function setKey(value, keep) {
    key = value;
    try {
        if (keep && value) sessionStorage.setItem(STORED, value);
        else sessionStorage.removeItem(STORED);
    } catch {
        // Memory will do.
    }
}

/** A response, or an ApiError for anything but success. `body` is JSON, or a string of another `type`. */
export async function send(path, { body, type = "application/json", signal, accept = "application/json" } = {}) {
    const headers = { accept };
    if (key) headers.authorization = `Bearer ${key}`;
    const request = { headers, signal, cache: "no-store", credentials: "same-origin" };
    if (body !== undefined) {
        headers["content-type"] = type;
        Object.assign(request, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
    }
    let response;
    try {
        response = await fetch(new URL(path, document.baseURI), request);
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ApiError({ title: "No connection", detail: "the server cannot be reached" }, 0, null);
    }
    if (!response.ok) throw await failure(response);
    return response;
}

export const get = async (path, signal) => (await send(path, { signal })).json();

async function failure(response) {
    const text = await response.text().catch(() => "");
    let problem;
    try {
        problem = JSON.parse(text);
    } catch {
        problem = { title: `Status ${response.status}`, detail: text.slice(0, 200) || `the server answered ${response.status}` };
    }
    if (response.status === 401) dispatchEvent(new Event("limbic:key"));
    const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
    return new ApiError(problem, response.status, Number.isFinite(seconds) ? seconds : null);
}

/** Milliseconds of a `Server-Timing` header by name. */
export function timings(response) {
    const found = {};
    for (const part of (response.headers.get("server-timing") ?? "").split(",")) {
        const match = /^\s*([\w-]+);dur=([\d.]+)/.exec(part);
        if (match) found[match[1]] = Number(match[2]);
    }
    return found;
}
