// A small line over time, from zero up. Gaps are gaps.

import { svg } from "./dom.js";

const WIDTH = 240;
const HEIGHT = 56;

/** The line of `values` (null where there is none), with room for `most` of them. */
export function spark(values, most) {
    const top = Math.max(...values.map((value) => value ?? 0), 1e-9) * 1.15;
    const x = (at) => ((most - values.length + at) / (most - 1)) * WIDTH;
    const y = (value) => HEIGHT - 1 - (value / top) * (HEIGHT - 4);
    let path = "";
    let pen = false;
    values.forEach((value, at) => {
        if (value === null) pen = false;
        else {
            path += `${pen ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
            pen = true;
        }
    });
    const marks = [svg("line", { class: "spark-floor", x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 })];
    if (path) marks.push(svg("path", { class: "spark-line", d: path }));
    const last = values.at(-1);
    if (last !== null && last !== undefined) marks.push(svg("circle", { class: "spark-dot", cx: x(values.length - 1), cy: y(last), r: 3 }));
    return svg("svg", { class: "spark", viewBox: `-4 0 ${WIDTH + 8} ${HEIGHT + 2}`, "aria-hidden": "true", focusable: "false" }, marks);
}
