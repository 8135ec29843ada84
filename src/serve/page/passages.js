// The text read closely: its sentences, each in the tone of what it expresses, or its words, each by what it does to a label.

import { el } from "./dom.js";
import { percent, spelled, toned } from "./labels.js";
import { pieces } from "./places.js";

/** The text with its sentences as buttons. `label` null shows each sentence's strongest; `choose(at)` hears which was pressed. */
export function sentences({ text, spans, label, chosen, choose }) {
    const part = (piece) => {
        const span = spans[piece.at];
        const shown = label ?? strongest(span);
        const score = span.scores[shown] ?? 0;
        const said = `${spelled(shown)} ${percent(score)} percent`;
        const press = () => choose(piece.at === chosen ? null : piece.at);
        const key = (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            press();
        };
        return el(
            "span",
            {
                class: "part toned",
                role: "button",
                tabindex: 0,
                "aria-pressed": String(piece.at === chosen),
                "aria-description": said,
                title: said,
                "data-start": span.start,
                "data-end": span.end,
                "data-label": shown,
                vars: { ...toned(shown), "--score": score },
                on: { click: press, keydown: key },
            },
            piece.text,
        );
    };
    return el(
        "p",
        { class: "reading", id: "reading" },
        pieces(text, spans).map((piece) => (piece.at === null ? piece.text : part(piece))),
    );
}

/** Of what holds the first, which is furthest above its threshold; else the likeliest. */
function strongest({ labels, scores }) {
    return labels?.[0] ?? Object.keys(scores).reduce((best, label) => (scores[label] > scores[best] ? label : best));
}

/** The text with its words marked: a tone speaks for the label, a dotted line against it. */
export function words({ text, words: found, label }) {
    const ranked = found.map((word) => ({ ...word, ...main(word.effects, label) }));
    const scale = Math.max(0.15, ...ranked.map((word) => Math.abs(word.effect)));
    const part = (piece) => {
        const word = ranked[piece.at];
        const share = Math.abs(word.effect) / scale;
        const side = share < 0.04 ? "none" : word.effect > 0 ? "for" : "against";
        const said = `${spelled(word.label)} ${signed(word.effect)}`;
        return el(
            "span",
            {
                class: "word toned",
                "data-side": side,
                "data-start": word.start,
                "data-end": word.end,
                "data-effect": word.effect,
                title: said,
                vars: { ...toned(word.label), "--score": share },
            },
            piece.text,
        );
    };
    const reading = el(
        "p",
        { class: "reading", id: "reading" },
        pieces(text, found).map((piece) => (piece.at === null ? piece.text : part(piece))),
    );
    return [
        reading,
        told(
            pieces(text, found).filter((piece) => piece.at !== null),
            ranked,
        ),
    ];
}

/** The effect on `label`, or without one the largest gain over the labels explained. */
function main(effects, label) {
    const name = label ?? Object.keys(effects).reduce((best, other) => (effects[other] > effects[best] ? other : best));
    return { label: name, effect: effects[name] };
}

const signed = (effect) => `${effect < 0 ? "−" : "+"}${Math.abs(effect).toFixed(2)}`;

/** The same as a list, for whoever cannot see tones. */
function told(parts, ranked) {
    const rows = parts.map(({ text, at }) => ({ text, ...ranked[at] })).filter((row) => Math.abs(row.effect) >= 0.01);
    const item = (row) =>
        el(
            "li",
            { class: "toned", vars: toned(row.label) },
            el("b", {}, row.text),
            ` ${spelled(row.label)} `,
            el("span", {}, signed(row.effect)),
        );
    const most = (side, title) => {
        const some = rows
            .filter((row) => Math.sign(row.effect) === side)
            .sort((left, right) => side * (right.effect - left.effect))
            .slice(0, 6);
        return some.length ? [el("h3", { class: "kicker" }, title), el("ul", { class: "effects" }, some.map(item))] : [];
    };
    const lists = [...most(1, "Speaks for it"), ...most(-1, "Speaks against it")];
    return el("div", { class: "told" }, lists.length ? lists : el("p", { class: "small" }, "No single word matters much here."));
}
