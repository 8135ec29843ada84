// The second tab: rows in, rows out. The table is kept in this page; only its texts are sent.

import { classifyAll } from "./bulk.js";
import { drawBars } from "./bars.js";
import { guessColumn, guessDelimiter, guessHeader, parse, write } from "./csv.js";
import { byId, count, debounced, el, plural } from "./dom.js";
import { percent, spelled, toned } from "./labels.js";
import { hideError, showError } from "./notice.js";

/** Rows shown at first, and more at a time. */
const SHOWN = 100;

/** Wires the tab. */
export function wireBatch(shared) {
    const state = {
        source: "",
        name: "rows",
        rows: [],
        header: false,
        column: 0,
        outcomes: new Map(),
        labels: [],
        shown: SHOWN,
        busyUntil: 0,
    };
    let running = null;

    function take(text, name) {
        hideError(byId("batch-notice"));
        Object.assign(state, { source: text, name });
        const delimiter = guessDelimiter(text);
        byId("batch-format").value = delimiter;
        cut(delimiter);
    }

    function cut(delimiter) {
        state.rows = parse(state.source, delimiter);
        state.header = guessHeader(state.rows);
        byId("batch-header").checked = state.header;
        state.column = guessColumn(state.rows, state.header);
        forget();
        setup();
    }

    /** What was found is of other rows, or of another column. */
    function forget() {
        running?.abort();
        state.outcomes.clear();
        byId("batch-results").hidden = byId("batch-download").hidden = byId("batch-retry").hidden = byId("batch-progress").hidden = true;
    }

    const width = () => Math.max(1, ...state.rows.slice(0, 200).map((row) => row.length));
    const names = () => Array.from({ length: width() }, (_, at) => (state.header && state.rows[0][at]?.trim()) || `column ${at + 1}`);
    const body = () => state.rows.slice(state.header ? 1 : 0);

    function setup() {
        byId("batch-setup").hidden = state.rows.length === 0;
        const options = names().map((name, at) => el("option", { value: at, selected: at === state.column }, name));
        byId("batch-column").replaceChildren(...options);
        const head = el(
            "tr",
            {},
            names().map((name, at) => el("th", { scope: "col", "data-chosen": at === state.column }, name)),
        );
        const cells = (row) => names().map((_, at) => el("td", { "data-chosen": at === state.column }, (row[at] ?? "").slice(0, 160)));
        const rows = body()
            .slice(0, 4)
            .map((row) => el("tr", {}, cells(row)));
        byId("batch-preview").replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
        byId("batch-run").textContent = `Classify ${plural(body().length, "row")}`;
        byId("batch-run").disabled = body().length === 0;
        byId("batch-state").textContent = "";
    }

    /** Runs the rows at these positions. */
    async function run(positions) {
        const texts = body();
        hideError(byId("batch-notice"));
        const rows = positions.map((id) => ({ id, text: texts[id][state.column] ?? "" }));
        const full = rows.filter(({ text }) => text.trim());
        for (const { id, text } of rows)
            if (!text.trim()) state.outcomes.set(id, { error: { title: "Empty text", detail: "no text in this row" } });
        const mine = (running = new AbortController());
        busy(true);
        const redraw = setInterval(() => draw(false), 250);
        const each = (id, outcome) => state.outcomes.set(Number(id), outcome);
        const waits = (seconds) => {
            state.busyUntil = performance.now() + seconds * 1000;
        };
        try {
            await classifyAll(full, { model: shared.model(), signal: mine.signal, each, waits });
        } catch (error) {
            if (error.name !== "AbortError") showError(byId("batch-notice"), error, () => run(open()));
            // The other request would go on for nobody.
            mine.abort();
        } finally {
            clearInterval(redraw);
            if (running === mine) {
                running = null;
                busy(false);
                draw(true);
            }
        }
    }

    const failed = () => [...state.outcomes].filter(([, { error }]) => error && error.code).map(([at]) => at);
    const open = () => [...body().keys()].filter((at) => !state.outcomes.has(at));

    function busy(on) {
        byId("batch-cancel").hidden = byId("batch-progress").hidden = !on;
        byId("batch-run").hidden = on;
        byId("batch-download").hidden = byId("batch-retry").hidden = true;
    }

    function draw(ended) {
        const all = body().length;
        const wrong = [...state.outcomes.values()].filter(({ error }) => error).length;
        byId("batch-progress").value = state.outcomes.size / Math.max(1, all);
        const said = `${count(state.outcomes.size)} of ${plural(all, "row")} answered${wrong ? `, ${count(wrong)} without labels` : ""}`;
        const left = Math.ceil((state.busyUntil - performance.now()) / 1000);
        byId("batch-state").textContent = !ended && left > 0 ? `${said}; the server is busy, going on in ${left} s` : said;
        if (ended) byId("batch-spoken").textContent = said;
        byId("batch-results").hidden = state.outcomes.size === 0;
        tally();
        table();
        if (!ended) return;
        byId("batch-download").hidden = state.outcomes.size === 0;
        const again = [...failed(), ...open()];
        byId("batch-retry").hidden = again.length === 0 || state.outcomes.size === 0;
        byId("batch-retry").textContent = `Ask again for ${plural(again.length, "row")}`;
    }

    const answered = () => [...state.outcomes.values()].filter(({ answer }) => answer).map(({ answer }) => answer.results[0]);

    function tally() {
        const results = answered();
        if (!results.length) return;
        state.labels = Object.keys(results[0].scores);
        const share = (label) => results.filter(({ labels }) => labels.includes(label)).length / results.length;
        const rows = state.labels
            .map((label) => ({ label, score: share(label), holds: null }))
            .sort((left, right) => right.score - left.score);
        drawBars(byId("batch-tally"), rows);
    }

    function table() {
        const head = el(
            "tr",
            {},
            ["row", "text", "holds", "highest"].map((name) => el("th", { scope: "col" }, name)),
        );
        const some = [...state.outcomes.keys()].sort((left, right) => left - right).slice(0, state.shown);
        const texts = body();
        byId("batch-table").replaceChildren(
            el(
                "table",
                { class: "answers" },
                el("thead", {}, head),
                el(
                    "tbody",
                    {},
                    some.map((at) => line(at, texts[at])),
                ),
            ),
        );
        byId("batch-more").hidden = state.outcomes.size <= state.shown;
    }

    function line(at, row) {
        const { answer, error } = state.outcomes.get(at);
        const text = el("td", { class: "cut" }, (row[state.column] ?? "").slice(0, 240));
        if (error)
            return el("tr", {}, el("td", {}, count(at + 1)), text, el("td", { colspan: 2, class: "wrong" }, error.detail ?? error.title));
        const { labels, scores } = answer.results[0];
        const [name, score] = Object.entries(scores).reduce((best, other) => (other[1] > best[1] ? other : best));
        const tags = labels.map((label) => el("span", { class: "tag toned", vars: toned(label) }, spelled(label)));
        return el(
            "tr",
            {},
            el("td", {}, count(at + 1)),
            text,
            el("td", {}, tags.length ? tags : "nothing"),
            el("td", {}, `${spelled(name)} ${percent(score)} %`),
        );
    }

    function download() {
        const url = URL.createObjectURL(new Blob([result(state, names(), body())], { type: "text/csv;charset=utf-8" }));
        const link = el("a", { href: url, download: `${state.name}-emotions.csv` });
        link.click();
        setTimeout(() => URL.revokeObjectURL(url), 10_000);
    }

    byId("file").addEventListener("change", async ({ target }) => {
        const [file] = target.files;
        if (file) take(await file.text(), file.name.replace(/\.\w+$/, ""));
        target.value = "";
    });
    byId("pasted").addEventListener(
        "input",
        debounced(200, () => take(byId("pasted").value, "rows")),
    );
    wireDrop(byId("drop"), take);
    byId("batch-format").addEventListener("change", ({ target }) => cut(target.value));
    byId("batch-column").addEventListener("change", ({ target }) => {
        state.column = Number(target.value);
        forget();
        setup();
    });
    byId("batch-header").addEventListener("change", ({ target }) => {
        state.header = target.checked;
        forget();
        setup();
    });
    byId("batch-run").addEventListener("click", () => {
        forget();
        state.shown = SHOWN;
        run([...body().keys()]);
    });
    byId("batch-retry").addEventListener("click", () => run([...failed(), ...open()]));
    byId("batch-cancel").addEventListener("click", () => running?.abort());
    byId("batch-more").addEventListener("click", () => {
        state.shown += SHOWN;
        table();
    });
    byId("batch-download").addEventListener("click", download);
}

/** The table as it came, with what was found behind each row. */
export function result({ outcomes, labels, header }, names, rows) {
    const width = names.length;
    const head = [...names.map((name, at) => (header ? name : `column_${at + 1}`)), "labels", ...labels, "error"];
    const line = (row, at) => {
        const { answer, error } = outcomes.get(at) ?? {};
        const found = answer?.results[0];
        const scores = labels.map((label) => (found ? found.scores[label].toFixed(4) : ""));
        const why = error ? (error.detail ?? error.title) : found ? "" : "not asked";
        return [...Array.from({ length: width }, (_, column) => row[column] ?? ""), found ? found.labels.join("; ") : "", ...scores, why];
    };
    return write([head, ...rows.map(line)]);
}

function wireDrop(box, take) {
    const over = (on) => (event) => {
        event.preventDefault();
        box.dataset.over = String(on);
    };
    box.addEventListener("dragover", over(true));
    box.addEventListener("dragleave", over(false));
    box.addEventListener("drop", async (event) => {
        over(false)(event);
        const [file] = event.dataTransfer.files;
        if (file) take(await file.text(), file.name.replace(/\.\w+$/, ""));
        else if (event.dataTransfer.getData("text")) take(event.dataTransfer.getData("text"), "rows");
    });
}
