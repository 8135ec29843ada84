// The few helpers over the DOM. Texts go in as text nodes only, styles as custom properties only: a page under a strict
// content security policy has no other way, and a text can never become markup.

export const byId = (id) => document.getElementById(id);

/** An element. `vars` are custom properties, `on` listeners; a property is an attribute unless it is null or false. */
export function el(tag, { vars = {}, on = {}, ...attributes } = {}, ...children) {
    const node = document.createElement(tag);
    dress(node, attributes, vars);
    for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element. */
export function svg(tag, { vars = {}, ...attributes } = {}, ...children) {
    const node = document.createElementNS(SVG, tag);
    dress(node, attributes, vars);
    node.append(...children.flat());
    return node;
}

function dress(node, attributes, vars) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
    }
    for (const [name, value] of Object.entries(vars)) node.style.setProperty(name, String(value));
}

/** A box that scrolls sideways by itself where `child` is too wide; keys reach it too. */
export const scroller = (name, child) => el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": name }, child);

/** Calls `work` when nobody has called for `ms`. */
export function debounced(ms, work) {
    let timer;
    const call = (...given) => {
        clearTimeout(timer);
        timer = setTimeout(() => work(...given), ms);
    };
    call.cancel = () => clearTimeout(timer);
    return call;
}

/** "a", "a and b", "a, b and c" as nodes. */
export function listed(nodes) {
    const joint = (at) => (at === 0 ? [] : [at === nodes.length - 1 ? " and " : ", "]);
    return nodes.flatMap((node, at) => [...joint(at), node]);
}

/** Whether things may move. */
export const moves = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A count with its thousands apart. */
export const count = (value) => Math.round(value).toLocaleString("en");

/** `1 row`, `2 rows`. */
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;
