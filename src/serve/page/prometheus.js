// Reads Prometheus' text format, and what can be said of the time between two readings. Nothing here knows the page.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Samples by metric name: `{labels, value}` each. */
export function parse(page) {
    const found = new Map();
    for (const line of page.split("\n")) {
        if (line.startsWith("#")) continue;
        const match = LINE.exec(line);
        if (!match) continue;
        const [, name, labels = "", value] = match;
        const by = Object.fromEntries([...labels.matchAll(LABEL)].map(([, label, text]) => [label, text]));
        if (!found.has(name)) found.set(name, []);
        found.get(name).push({ labels: by, value: value === "+Inf" ? Infinity : Number(value) });
    }
    return found;
}

/** The sum over a metric's series, those that `keep` wants. */
export function total(samples, name, keep = () => true) {
    return (samples.get(name) ?? []).filter(({ labels }) => keep(labels)).reduce((sum, { value }) => sum + value, 0);
}

/** A histogram's cumulative counts over all its series: `[upper bound, count]`, bounds ascending. */
export function buckets(samples, name, keep = () => true) {
    const by = new Map();
    for (const { labels, value } of samples.get(`${name}_bucket`) ?? []) {
        if (!keep(labels)) continue;
        const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
        by.set(bound, (by.get(bound) ?? 0) + value);
    }
    return [...by].sort(([left], [right]) => left - right);
}

/** The `q` quantile of what was observed between two readings, by linear interpolation in its bucket; null for nothing. */
export function quantile(before, after, q) {
    const earlier = new Map(before);
    const grown = after.map(([bound, count]) => [bound, count - (earlier.get(bound) ?? 0)]);
    const all = grown.at(-1)?.[1] ?? 0;
    if (all <= 0) return null;
    let [low, under] = [0, 0];
    for (const [bound, count] of grown) {
        if (count >= q * all) {
            if (bound === Infinity) return low;
            return low + ((bound - low) * (q * all - under)) / Math.max(count - under, Number.EPSILON);
        }
        [low, under] = [bound, count];
    }
    return low;
}
