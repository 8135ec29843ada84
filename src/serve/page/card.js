// The third tab: the model card, as GET /v1/models/{id} tells it. Every figure stands with its interval.

import { get } from "./api.js";
import { byId, count, el, plural, scroller } from "./dom.js";
import { spelled, toned } from "./labels.js";
import { hideError, showError } from "./notice.js";
import { reliability } from "./reliability.js";

const DECISIONS = {
    macro_f1: "macro F1",
    micro_f1: "micro F1",
    samples_f1: "samples F1",
    jaccard: "Jaccard",
    exact_match: "exact match",
    mean_average_precision: "mean average precision",
    mean_auroc: "mean AUROC",
};
const PROBABILITIES = { brier: "Brier score", log_loss: "log-loss", ece: "calibration error (ECE)", ece_debiased: "ECE, debiased" };

const ARCHITECTURES = { bert: "BERT", roberta: "RoBERTa", distilbert: "DistilBERT", modernbert: "ModernBERT" };

/** Draws the card of `model` (the default's when null); true when it is there. */
export async function drawCard(model, signal) {
    const notice = byId("model-notice");
    try {
        const id = model ?? (await get("./", signal)).model;
        const card = await get(`v1/models/${encodeURIComponent(id)}`, signal);
        hideError(notice);
        byId("card").replaceChildren(...parts(card));
        return card;
    } catch (error) {
        if (error.name === "AbortError") return null;
        byId("card").replaceChildren();
        showError(notice, error, () => drawCard(model));
        return null;
    }
}

function parts(card) {
    const head = el(
        "header",
        { class: "card-head" },
        el("p", { class: "kicker" }, "Model card"),
        el("h2", { class: "title" }, card.id, " ", el("small", {}, card.version)),
        el("p", { class: "lede" }, summary(card)),
    );
    const measured = card.metrics ?? [];
    const diagrams = card.scores ? [reliability(card.scores)] : [];
    return [head, measured.length ? figures(card, measured) : labelTable(card, null), ...diagrams, ...origin(card)];
}

function summary(card) {
    const kind = card.task === "multi_label" ? "any number of them at once" : "exactly one of them";
    const size = card.parameters ? ` of ${(card.parameters / 1e6).toFixed(1)} million parameters` : "";
    const said = [`${plural(card.labels?.length ?? 0, "label")}, ${kind}.`];
    if (card.architecture) {
        const encoder = `${ARCHITECTURES[card.architecture] ?? card.architecture} encoder${size}`;
        said.push(`A ${encoder}, ${spelled(card.pooling ?? "")} pooling, ${card.activation} of the logits.`);
        const read = `It reads ${card.max_length} tokens at once, normalised by ${card.normalization}`;
        said.push(`${read}; weights as ${spelled(card.precision.name)}.`);
    }
    return said.join(" ");
}

/** The figures of one measured set, and the choice of another. */
function figures(card, measured) {
    const plain = measured.filter(({ name }) => !name.endsWith("_uncalibrated"));
    const box = el("div", { class: "measured" });
    const show = (name) => {
        const set = measured.find((one) => one.name === name);
        const raw = measured.find((one) => one.name === `${name}_uncalibrated`);
        box.replaceChildren(
            el("p", { class: "small note" }, `${plural(set.rows, "row")}. ${set.note ?? ""}`),
            el(
                "div",
                { class: "split" },
                group("Are the decisions right?", "tuned", "at 0.5", DECISIONS, set.tuned?.overall, set.at_half?.overall),
                group("Are the probabilities true?", "calibrated", "plain", PROBABILITIES, set.tuned?.overall, raw?.at_half?.overall),
            ),
            labelTable(card, set),
        );
    };
    const first = plain.find(({ name }) => name === "held_out") ?? plain[0] ?? measured[0];
    const choose = el(
        "select",
        { id: "measured-set", on: { change: ({ target }) => show(target.value) } },
        plain.map(({ name }) => el("option", { value: name, selected: name === first.name }, spelled(name))),
    );
    show(first.name);
    return el("section", {}, el("p", { class: "options" }, el("label", { for: "measured-set" }, "Measured on"), " ", choose), box);
}

function group(title, main, other, names, figuresOf = {}, others = null) {
    const rows = Object.entries(names)
        .filter(([key]) => figuresOf?.[key])
        .map(([key, name]) => {
            const [value, beside] = [figuresOf[key], others?.[key]];
            return el(
                "tr",
                {},
                el("th", { scope: "row" }, name),
                el("td", { class: "plot" }, range(value, beside)),
                el("td", { class: "number" }, told(value)),
                el("td", { class: "number faint" }, beside ? beside.value.toFixed(3) : ""),
            );
        });
    const head = el(
        "tr",
        {},
        el("th", { scope: "col" }, "figure"),
        el("td", { class: "plot" }),
        el("th", { scope: "col", class: "number" }, main),
        el("th", { scope: "col", class: "number" }, others ? other : ""),
    );
    return el(
        "div",
        {},
        el("h3", { class: "kicker" }, title),
        scroller(title, el("table", { class: "figures" }, el("thead", {}, head), el("tbody", {}, rows))),
    );
}

/** A dot in its interval on the line from 0 to 1, and an open dot for what it is compared with. */
function range({ value, interval }, beside) {
    const [low, high] = interval ?? [value, value];
    const clip = (share) => Math.min(1, Math.max(0, share));
    const other = beside ? el("span", { class: "range-other" }) : null;
    const marks = [el("span", { class: "range-span" }), other, el("span", { class: "range-dot" })];
    return el(
        "span",
        {
            class: "range",
            "aria-hidden": "true",
            vars: { "--low": clip(low), "--high": clip(high), "--value": clip(value), "--other": clip(beside?.value ?? 0) },
        },
        marks,
    );
}

const told = ({ value, interval }) =>
    interval
        ? [el("b", {}, value.toFixed(3)), el("small", {}, ` ${interval[0].toFixed(3)}–${interval[1].toFixed(3)}`)]
        : el("b", {}, value.toFixed(3));

function labelTable(card, set) {
    const of = (name) => set?.tuned?.labels?.[name] ?? {};
    const cell = (figure) => el("td", { class: "number" }, figure ? figure.value.toFixed(2) : "");
    const row = ({ name, threshold, calibrator }) => {
        const { f1, precision, recall, support, ece } = of(name);
        return el(
            "tr",
            { class: "toned", vars: toned(name) },
            el("th", { scope: "row" }, el("span", { class: "dot", "aria-hidden": "true" }), spelled(name)),
            el("td", { class: "number" }, threshold === undefined ? "" : threshold.toFixed(3)),
            el("td", {}, calibrator ?? ""),
            el("td", { class: "plot" }, f1 ? range(f1) : ""),
            el("td", { class: "number" }, f1 ? told(f1) : ""),
            cell(precision),
            cell(recall),
            cell(ece),
            el("td", { class: "number" }, support ? count(support.value) : ""),
        );
    };
    const names = ["label", "threshold", "calibrator", "", "F1", "precision", "recall", "ECE", "rows"];
    const numeric = [1, 4, 5, 6, 7, 8];
    const head = names.map((name, at) =>
        name ? el("th", { scope: "col", class: numeric.includes(at) ? "number" : null }, name) : el("td", { class: "plot" }),
    );
    return el(
        "div",
        {},
        el("h3", { class: "kicker" }, "Label by label"),
        scroller(
            "Figures by label",
            el("table", { class: "figures labels" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, (card.labels ?? []).map(row))),
        ),
    );
}

function origin(card) {
    const { base, data, further = [], recipe_sha256: recipe, git, seeds, limbic } = card.provenance ?? {};
    const rowsOf = ({ description, rows, sha256 }) => `${description}; ${plural(rows, "row")}, ${sha256}`;
    const rows = [
        ["Digest", card.digest],
        ["Made", card.created ? new Date(card.created * 1000).toISOString().slice(0, 10) : null],
        ["Base", base && `${base.name}, ${base.revision}`],
        ["Licence of the base", base?.licence],
        ["Trained on", data && rowsOf(data)],
        ...further.map((more) => [`Further (${more.purpose})`, `${rowsOf(more)}; ${more.licence}`]),
        ["Thresholds", card.threshold_policy],
        ["Recipe", recipe],
        ["Code", git && `${git}, limbic ${limbic}`],
        ["Seeds", seeds?.join(", ")],
    ].filter(([, value]) => value);
    const list = el(
        "dl",
        { class: "origin" },
        rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
    );
    const files = Object.entries(card.files ?? {}).map(([name, file]) =>
        el(
            "tr",
            {},
            el("th", { scope: "row" }, name),
            el("td", { class: "number" }, `${count(file.bytes)} bytes`),
            el("td", { class: "hash" }, file.sha256),
        ),
    );
    const table = scroller("Files", el("table", { class: "figures" }, el("tbody", {}, files)));
    return [
        rows.length ? el("section", {}, el("h3", { class: "kicker" }, "Where it comes from"), list) : "",
        files.length ? el("details", {}, el("summary", {}, `${plural(files.length, "file")} and their hashes`), table) : "",
    ];
}
