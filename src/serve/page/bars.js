// A bar a label: its probability, where its threshold lies, and whether it holds. Rows are kept from one answer to the next
// and glide to their new place, so that the eye can follow while somebody types.

import { el, moves } from "./dom.js";
import { percent, spelled, toned } from "./labels.js";

/** Draws `rows` (`{label, score, threshold, holds}`, in the order wanted) into a list. */
export function drawBars(list, rows) {
    const before = new Map([...list.children].map((row) => [row.dataset.label, row]));
    const tops = new Map([...before].map(([label, row]) => [label, row.offsetTop]));
    const after = rows.map((row) => update(before.get(row.label) ?? create(row.label), row));
    list.replaceChildren(...after);
    if (!moves()) return;
    for (const row of after) {
        const moved = (tops.get(row.dataset.label) ?? row.offsetTop) - row.offsetTop;
        if (moved) row.animate([{ transform: `translateY(${moved}px)` }, { transform: "none" }], { duration: 260, easing: "ease-out" });
    }
}

function create(label) {
    const name = el("span", { class: "bar-name" }, spelled(label));
    const track = el("span", { class: "track" }, el("span", { class: "fill" }), el("span", { class: "threshold" }));
    const meter = el(
        "span",
        { class: "meter", role: "meter", "aria-valuemin": 0, "aria-valuemax": 1, "aria-label": spelled(label) },
        track,
    );
    const row = el(
        "li",
        { class: "bar toned", "data-label": label, vars: toned(label) },
        name,
        meter,
        el("span", { class: "bar-value", "aria-hidden": "true" }),
    );
    return row;
}

function update(row, { score, threshold, holds }) {
    const [name, meter, value] = row.children;
    row.dataset.holds = String(holds);
    row.style.setProperty("--score", score);
    name.setAttribute("aria-hidden", "true");
    meter.setAttribute("aria-valuenow", score.toFixed(4));
    meter.setAttribute("aria-valuetext", sentence(score, threshold, holds));
    const tick = row.querySelector(".threshold");
    tick.hidden = threshold === undefined;
    if (threshold !== undefined) row.style.setProperty("--threshold", threshold);
    row.title = sentence(score, threshold, holds);
    value.textContent = percent(score);
    return row;
}

function sentence(score, threshold, holds) {
    const parts = [`${percent(score)} percent`];
    if (threshold !== undefined) parts.push(`threshold ${percent(threshold)}`);
    if (holds !== null) parts.push(holds ? "holds" : "does not hold");
    return parts.join(", ");
}
