// The last tab: the server's own figures, read from /metrics every two seconds while somebody looks.

import { send } from "./api.js";
import { byId, count, el, scroller } from "./dom.js";
import { hideError, showError } from "./notice.js";
import { buckets, parse, quantile, total } from "./prometheus.js";
import { spark } from "./spark.js";

const EVERY = 2000;
/** Readings kept: two minutes. */
const KEPT = 61;
/** Readings that a quantile looks back over: ten seconds. */
const WINDOW = 5;
const DURATION = "limbic_request_duration_seconds";
const STAGES = { tokenize: "reading", queue: "waiting", infer: "the model", post: "writing" };
/** What asks the server about itself, this page before all. */
const OURSELVES = /^\/(metrics|page|health|v1\/(models|label_sets))/;

/** The tab: `show(on)` begins and ends the looking. */
export function wireLive() {
    let readings = [];
    let timer = null;
    let shown = false;

    async function look() {
        try {
            const page = await (await send("metrics", { accept: "text/plain" })).text();
            hideError(byId("server-notice"));
            readings = [...readings, { at: performance.now() / 1000, samples: parse(page) }].slice(-KEPT);
            const box = byId("live");
            const held = box.contains(document.activeElement);
            box.replaceChildren(...draw(readings));
            if (held) box.querySelector(".scroller")?.focus({ preventScroll: true });
        } catch (error) {
            readings = [];
            byId("live").replaceChildren();
            if (error.status === 404) {
                error.problem = { title: "No figures here" };
                error.message = "This server shows its metrics on its admin port, which is not for this page.";
            }
            showError(byId("server-notice"), error);
        }
    }

    function turn() {
        clearInterval(timer);
        timer = null;
        if (!shown || document.hidden) return;
        look();
        timer = setInterval(look, EVERY);
    }
    document.addEventListener("visibilitychange", turn);
    return {
        show(on) {
            if (on !== shown) {
                shown = on;
                turn();
            }
        },
    };
}

function draw(readings) {
    const steps = readings.map((_, at) => step(readings, at)).slice(1);
    const series = (name) => steps.map((one) => one[name]);
    const now = steps.at(-1) ?? {};
    const before = since(readings.at(-1).samples);
    const tile = (title, name, write) =>
        el(
            "figure",
            { class: "tile" },
            el("figcaption", {}, title),
            value(now[name] ?? null, before[name] ?? null, write),
            spark(series(name), KEPT - 1),
        );
    const tiles = el(
        "div",
        { class: "tiles" },
        tile("Requests a second", "rate", short),
        tile("Half are answered within", "p50", time),
        tile("Nineteen in twenty within", "p95", time),
        tile("Texts waiting", "queue", count),
        tile("Texts in a batch", "batch", short),
        tile("Refused a second", "refused", short),
    );
    return [tiles, stages(readings), routes(readings.at(-1).samples)];
}

/** What is so now; while nothing happens, what was since the server began, and that it is that. */
function value(now, before, write) {
    if (now === null && before !== null)
        return el("p", { class: "big since" }, write(before), el("small", { class: "small" }, " since it began"));
    return el("p", { class: "big" }, now === null ? "–" : write(now));
}

/** The figures that rest while nobody asks, over the server's whole life. */
function since(samples) {
    const all = buckets(samples, DURATION);
    const batches = total(samples, "limbic_batch_texts_count");
    return {
        p50: quantile([], all, 0.5),
        p95: quantile([], all, 0.95),
        batch: batches ? total(samples, "limbic_batch_texts_sum") / batches : null,
    };
}

/** The figures of the time between one reading and the one before; quantiles look back further. */
function step(readings, at) {
    const [after, before] = [readings[at], readings[at - 1] ?? readings[at]];
    const earlier = readings[Math.max(0, at - WINDOW)];
    const grown = (name, keep) => Math.max(0, total(after.samples, name, keep) - total(before.samples, name, keep));
    const seconds = Math.max(after.at - before.at, 1e-3);
    const batches = grown("limbic_batch_texts_count");
    const within = (q) => quantile(buckets(earlier.samples, DURATION), buckets(after.samples, DURATION), q);
    return {
        rate: grown("limbic_requests_total", ({ route }) => !OURSELVES.test(route)) / seconds,
        p50: within(0.5),
        p95: within(0.95),
        queue: total(after.samples, "limbic_queue_texts"),
        batch: batches ? grown("limbic_batch_texts_sum") / batches : null,
        refused: grown("limbic_rejected_total") / seconds,
    };
}

/** Where a request's time goes: the mean of each stage since the server began. */
function stages(readings) {
    const { samples } = readings.at(-1);
    const means = Object.entries(STAGES).map(([stage, name]) => {
        const of = (what) => total(samples, `limbic_stage_duration_seconds_${what}`, (labels) => labels.stage === stage);
        return { stage, name, mean: of("count") ? of("sum") / of("count") : 0 };
    });
    const all = means.reduce((sum, { mean }) => sum + mean, 0);
    if (!all) return el("p", { class: "lede" }, "Nothing has been classified yet.");
    const bar = means.map(({ stage, mean }) => el("span", { class: "stage", "data-stage": stage, vars: { "--share": mean / all } }));
    const items = means.map(({ stage, name, mean }) =>
        el("li", {}, el("span", { class: "swatch", "data-stage": stage, "aria-hidden": "true" }), `${name} `, el("b", {}, time(mean))),
    );
    return el(
        "section",
        {},
        el("h3", { class: "kicker" }, "Where a request's time goes, on average"),
        el("div", { class: "stages", "aria-hidden": "true" }, bar),
        el("ul", { class: "stage-list" }, items),
    );
}

function routes(samples) {
    const by = new Map();
    for (const { labels, value } of samples.get("limbic_requests_total") ?? []) {
        if (value > 0 && !OURSELVES.test(labels.route)) by.set(labels.route, { ...by.get(labels.route), [labels.code]: value });
    }
    if (!by.size) return "";
    const codes = [...new Set([...by.values()].flatMap(Object.keys))].sort();
    const head = el(
        "tr",
        {},
        el("th", { scope: "col" }, "route"),
        codes.map((code) => el("th", { scope: "col", class: "number" }, code)),
    );
    const rows = [...by].map(([route, counts]) =>
        el(
            "tr",
            {},
            el("th", { scope: "row" }, route),
            codes.map((code) => el("td", { class: "number" }, counts[code] ? count(counts[code]) : "")),
        ),
    );
    return el(
        "section",
        {},
        el("h3", { class: "kicker" }, "Answers since it began, by route and status"),
        scroller("Answers by route", el("table", { class: "figures" }, el("thead", {}, head), el("tbody", {}, rows))),
    );
}

const short = (value) => (value >= 100 ? count(value) : value.toFixed(1));

/** Seconds as a person would say them. */
function time(seconds) {
    if (seconds >= 1) return `${seconds.toFixed(2)} s`;
    const ms = seconds * 1000;
    return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
}
