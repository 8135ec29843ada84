// An error where it happened, in the server's own words, with what can be done about it.

import { el } from "./dom.js";

/** Shows `error` in `box`. `again`, when given, is called at the end of a Retry-After, and by a button. */
export function showError(box, error, again) {
    hideError(box);
    const { problem = {}, status = 0, retryAfter = null } = error;
    const faults = (problem.errors ?? []).filter((fault) => fault.detail !== problem.detail);
    box.append(el("strong", {}, problem.title ?? "Something went wrong"), el("p", {}, error.message));
    if (faults.length)
        box.append(
            el(
                "ul",
                {},
                faults.map((fault) => el("li", {}, fault.detail)),
            ),
        );
    if (status === 401) {
        box.append(
            el(
                "button",
                {
                    type: "button",
                    class: "button",
                    on: { click: () => dispatchEvent(new CustomEvent("limbic:key", { detail: "pressed" })) },
                },
                "Enter a key",
            ),
        );
    } else if (again && (retryAfter !== null || problem.retryable || status === 0)) {
        box.append(waiting(box, retryAfter, again));
    }
    if (problem.request_id) box.append(el("p", { class: "small" }, `request ${problem.request_id}`));
    box.hidden = false;
}

export function hideError(box) {
    clearInterval(Number(box.dataset.timer));
    box.replaceChildren();
    box.hidden = true;
}

/** A button that says how long is left, and presses itself at the end. */
function waiting(box, seconds, again) {
    const button = el(
        "button",
        {
            type: "button",
            class: "button",
            on: {
                click: () => {
                    hideError(box);
                    again();
                },
            },
        },
        "Try again",
    );
    if (seconds === null) return button;
    let left = seconds;
    const tick = () => {
        if (left <= 0) button.click();
        else button.textContent = `Trying again in ${left} s`;
        left -= 1;
    };
    tick();
    box.dataset.timer = String(setInterval(tick, 1000));
    return button;
}
