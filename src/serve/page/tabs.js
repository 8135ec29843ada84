// The tabs, by the pattern of the ARIA Authoring Practices: one stop for the Tab key, arrows between, the shown panel follows
// the focus, and the address keeps which it is.

import { byId } from "./dom.js";

/** Wires the tab list. `shown(name)` is called whenever a panel comes up. */
export function wireTabs(list, shown) {
    const tabs = [...list.querySelectorAll("[role=tab]")];
    const nameOf = (tab) => tab.getAttribute("aria-controls");

    function show(tab, { focus = false, remember = true } = {}) {
        for (const other of tabs) {
            const on = other === tab;
            other.setAttribute("aria-selected", String(on));
            other.tabIndex = on ? 0 : -1;
            byId(nameOf(other)).hidden = !on;
        }
        if (focus) tab.focus();
        if (remember) history.replaceState(null, "", nameOf(tab) === nameOf(tabs[0]) ? location.pathname : `#${nameOf(tab)}`);
        shown(nameOf(tab));
    }

    list.addEventListener("click", (event) => {
        const tab = event.target.closest("[role=tab]");
        if (tab) show(tab);
    });
    list.addEventListener("keydown", (event) => {
        const at = tabs.indexOf(document.activeElement);
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (to === undefined || at < 0) return;
        event.preventDefault();
        show(tabs[(to + tabs.length) % tabs.length], { focus: true });
    });
    const named = () => tabs.find((tab) => `#${nameOf(tab)}` === location.hash);
    addEventListener("hashchange", () => named() && show(named(), { remember: false }));
    show(named() ?? tabs[0], { remember: false });
}
