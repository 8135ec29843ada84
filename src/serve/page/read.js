// The first tab: a text, answered while it is typed. One question at a time is on its way; a newer one calls the older back.

import { get, send, timings } from "./api.js";
import { drawBars } from "./bars.js";
import { byId, debounced, el, listed, plural } from "./dom.js";
import { percent, spelled, toned } from "./labels.js";
import { hideError, showError } from "./notice.js";
import { sentences, words } from "./passages.js";
import { wellFormed } from "./places.js";

const EXAMPLES = [
    ["good news", "I can't believe we won, I'm shaking with joy! Three years of rain-soaked training, and then this. 😭🎉"],
    ["a quarrel", "You promised you would be there. I waited an hour in the cold 🥶 and you did not even call. I am done being patient."],
    ["a long wait", "The results come tomorrow. I keep telling myself it will be fine. My hands say otherwise."],
];
/** Milliseconds without a key before a question goes out, by how much it costs to answer. */
const PAUSES = { text: 160, sentences: 300, words: 650 };
/** Bars shown before somebody asks for all. */
const FEW = 12;
/** Nearer to a threshold than this is called a close call. */
const CLOSE = 0.05;
const UNIT = { text: "document", sentences: "sentence", words: "document" };

/** Wires the tab. `shared.model()` names the model asked, `shared.card()` is its card or null. */
export function wireRead(shared) {
    const area = byId("text");
    const state = { mode: "text", label: null, chosen: null, all: false, answer: null, text: "" };
    let asking = null;

    const soon = {};
    for (const [mode, pause] of Object.entries(PAUSES)) soon[mode] = debounced(pause, () => ask());
    const later = () => {
        byId("closer").dataset.stale = "true";
        Object.values(soon).forEach((call) => call.cancel());
        soon[state.mode]();
    };

    async function ask() {
        asking?.abort();
        const text = wellFormed(area.value);
        if (!text.trim()) return rest();
        const mine = (asking = new AbortController());
        byId("read-pulse").dataset.on = "true";
        try {
            const asked = { ...question(text), ...(shared.model() && { model: shared.model() }) };
            const response = await send("v1/emotions", { body: asked, signal: mine.signal });
            const answer = await response.json();
            hideError(byId("read-notice"));
            Object.assign(state, { answer, text, chosen: null });
            draw(timings(response));
        } catch (error) {
            if (error.name !== "AbortError") failed(error);
        } finally {
            if (asking === mine) byId("read-pulse").dataset.on = "false";
        }
    }

    function question(text) {
        const set = byId("label-set").value;
        const asked = { input: text, abstain: { margin: CLOSE }, granularity: UNIT[state.mode], ...(set && { label_set: set }) };
        if (state.mode === "words") return { ...asked, explain: state.label ? [state.label] : true };
        return { ...asked, long_text: "window" };
    }

    function rest() {
        state.answer = null;
        hideError(byId("read-notice"));
        byId("finding").hidden = byId("closer").hidden = true;
        byId("resting").hidden = false;
        byId("read-pulse").dataset.on = "false";
        byId("read-facts").textContent = "Texts are never logged, and never written to a disk.";
        byId("spoken").textContent = "";
    }

    function failed(error) {
        byId("finding").hidden = byId("closer").hidden = true;
        byId("resting").hidden = true;
        showError(byId("read-notice"), error, ask);
    }

    function draw(times) {
        byId("resting").hidden = true;
        byId("finding").hidden = false;
        drawFinding();
        drawCloser();
        if (times) drawFacts(times);
        speak();
    }

    function drawFinding() {
        const { answer, chosen } = state;
        const whole = answer.results[0];
        const part = chosen === null ? whole : whole.spans[chosen];
        const where = chosen === null ? "It expresses" : `Sentence ${chosen + 1} of ${whole.spans.length} expresses`;
        byId("finding-title").textContent = where;
        const word = (label) => el("span", { class: "toned", vars: toned(label) }, spelled(label));
        byId("verdict").replaceChildren(
            ...(part.labels.length ? listed(part.labels.map(word)) : [el("span", { class: "none" }, "nothing that stands out")]),
        );
        byId("doubt").textContent = doubt(part.abstain, answer, shared.card());
        const rows = bars(part, answer.label_set ? {} : whole.thresholds.values);
        drawBars(byId("bars"), state.all ? rows : rows.slice(0, FEW));
        byId("more").hidden = rows.length <= FEW;
        byId("more").textContent = state.all ? "Fewer labels" : `All ${rows.length} labels`;
        byId("legend").hidden = Boolean(answer.label_set);
    }

    function drawCloser() {
        const { answer, mode, label, chosen, text } = state;
        const box = byId("closer");
        delete box.dataset.stale;
        box.hidden = mode === "text";
        if (box.hidden) return;
        const result = answer.results[0];
        const choose = (at) => {
            state.chosen = at;
            draw();
            byId("closer").querySelectorAll(".part")[at ?? chosen]?.focus();
        };
        const parts =
            mode === "sentences"
                ? [sentences({ text, spans: result.spans, label, chosen, choose })]
                : words({ text, words: result.explanation.words, label });
        const hint =
            mode === "sentences"
                ? "Press a sentence to see its own bars."
                : "A word's effect is the score with it, less the score without it.";
        // The row of labels stays where it is: it may have the focus.
        const held = box.querySelector(".lens");
        if (held?.dataset.for === lensKey()) while (held.nextSibling) held.nextSibling.remove();
        else box.replaceChildren(lensOf(Object.keys(result.scores)));
        box.append(...parts, el("p", { class: "small" }, hint));
    }

    const lensKey = () => `${state.mode} ${Object.keys(state.answer.results[0].scores).join(" ")}`;

    /** Which label to look at; a row of radio buttons that stays while the text changes. */
    function lensOf(labels) {
        if (!labels.includes(state.label)) state.label = null;
        const pick = (label) => () => {
            state.label = label;
            state.mode === "words" ? ask() : draw();
        };
        const one = (label, name) =>
            el(
                "label",
                { class: label ? "toned" : null, vars: label ? toned(label) : {} },
                el("input", {
                    type: "radio",
                    name: "lens",
                    value: label ?? "",
                    checked: state.label === label,
                    on: { change: pick(label) },
                }),
                el("span", {}, name),
            );
        const first = state.mode === "words" ? "all that hold" : "strongest";
        return el(
            "fieldset",
            { class: "choice lens", "data-for": lensKey() },
            el("legend", { class: "unseen" }, "Label to look at"),
            one(null, first),
            labels.map((label) => one(label, spelled(label))),
        );
    }

    function drawFacts(times) {
        const result = state.answer.results[0];
        const most = shared.card()?.max_length;
        const parts = [plural([...state.text].length, "character"), plural(result.tokens, "token")];
        if (result.truncated) parts.push(`only the first ${most ?? ""} tokens were read`);
        else if (most && result.tokens > most)
            parts.push("longer than the model reads at once: read through windows, each label's highest score kept");
        const spent = (times.tok ?? 0) + (times.queue ?? 0) + (times.infer ?? 0);
        if (spent) parts.push(`${spent < 10 ? spent.toFixed(1) : Math.round(spent)} ms`);
        byId("read-facts").textContent = parts.join(" · ");
    }

    /** Said to screen readers once typing has rested, in one sentence. */
    const speak = debounced(900, () => {
        if (!state.answer) return;
        const part = state.chosen === null ? state.answer.results[0] : state.answer.results[0].spans[state.chosen];
        const said = part.labels.map((label) => `${spelled(label)} ${percent(part.scores[label])} percent`);
        byId("spoken").textContent = said.length ? `${byId("finding-title").textContent} ${said.join(", ")}` : "No label holds";
    });

    area.addEventListener("input", later);
    byId("modes").addEventListener("change", (event) => {
        Object.assign(state, { mode: event.target.value, label: null, chosen: null });
        byId("closer").replaceChildren();
        ask();
    });
    byId("label-set").addEventListener("change", () => {
        state.label = null;
        ask();
    });
    byId("more").addEventListener("click", () => {
        state.all = !state.all;
        drawFinding();
    });
    for (const [name, text] of EXAMPLES) {
        const begin = () => {
            area.value = text;
            area.focus({ preventScroll: true });
            ask();
        };
        byId("examples").append(el("button", { type: "button", class: "plain", on: { click: begin } }, name));
    }

    async function labelSets() {
        try {
            const { data } = await get("v1/label_sets");
            const held = byId("label-set");
            held.replaceChildren(
                held.options[0],
                ...data.map(({ name }) => el("option", { value: name, selected: held.value === name }, name)),
            );
        } catch {
            // The select keeps the one choice that always holds.
        }
    }
    labelSets();

    /** Asks once more, of another model or with a key. */
    function again() {
        state.label = null;
        labelSets();
        ask();
    }
    return { again };
}

/** Rows for the bars: by score, and of equals in the model's order. */
function bars({ scores, labels }, thresholds) {
    const row = ([label, score]) => ({ label, score, threshold: thresholds[label], holds: labels.includes(label) });
    return Object.entries(scores)
        .map(row)
        .sort((left, right) => right.score - left.score);
}

/** How sure the decision is. */
function doubt(abstain, answer, card) {
    if (!abstain || abstain.margin === undefined) return "";
    const distance = abstain.margin < 0.005 ? "less than 0.01" : abstain.margin.toFixed(2);
    const name = spelled(abstain.nearest ?? "");
    const close = abstain.abstained ? "A close call" : "Clear enough";
    if (card?.task === "multi_class") return `${close}: its lead over ${name} is ${distance}.`;
    const note = answer.label_set && !answer.label_set.calibrated ? " A score here is the highest of the labels behind it." : "";
    return `${close}: the nearest threshold, of ${name}, is ${distance} away.${note}`;
}
