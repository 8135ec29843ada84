// A reliability diagram a label: of the rows scored about so, how many hold it? On the diagonal a score means what it says.

import { el, svg } from "./dom.js";
import { spelled, toned } from "./labels.js";

const SIDE = 120;

/** Small diagrams of `scores` (`{set, labels: {label: [{from, rows, score, held}]}}`), as the card has them. */
export function reliability(scores) {
    const diagrams = Object.entries(scores.labels).map(([label, bins]) =>
        el(
            "figure",
            { class: "diagram toned", vars: toned(label) },
            el("figcaption", {}, spelled(label)),
            diagram(bins),
            el("p", { class: "unseen" }, told(bins)),
        ),
    );
    return el(
        "section",
        {},
        el("h3", { class: "kicker" }, "Does a score mean what it says?"),
        el(
            "p",
            { class: "small note" },
            `Rows of ${spelled(scores.set)}, in bins of about equal size: across, their mean score; up, how many of them hold the label. `,
            "True scores lie on the diagonal.",
        ),
        el("div", { class: "diagrams" }, diagrams),
    );
}

function diagram(bins) {
    const [x, y] = [(share) => (share * SIDE).toFixed(1), (share) => ((1 - share) * SIDE).toFixed(1)];
    const points = bins.map(({ score, held }) => `${x(score)},${y(held)}`).join(" ");
    return svg(
        "svg",
        { class: "reliability", viewBox: `-4 -4 ${SIDE + 8} ${SIDE + 8}`, "aria-hidden": "true", focusable: "false" },
        svg("path", { class: "reliability-frame", d: `M0 0V${SIDE}H${SIDE}` }),
        svg("line", { class: "reliability-ideal", x1: 0, y1: SIDE, x2: SIDE, y2: 0 }),
        svg("polyline", { class: "reliability-line", points }),
        bins.map(({ score, held }) => svg("circle", { class: "reliability-dot", cx: x(score), cy: y(held), r: 2.6 })),
    );
}

/** The same in words. */
function told(bins) {
    return bins
        .map(({ score, held, rows }) => `${rows} rows scored ${score.toFixed(2)}: ${Math.round(held * 100)} percent hold it`)
        .join("; ");
}
