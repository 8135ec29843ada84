// Puts the page together: tabs, theme, key, and the choice of a model. Each tab has a file of its own.

import { get, hasKey, setKey } from "./api.js";
import { wireBatch } from "./batch.js";
import { drawCard } from "./card.js";
import { byId, el } from "./dom.js";
import { wireLive } from "./live.js";
import { wireRead } from "./read.js";
import { wireTabs } from "./tabs.js";

const shared = { chosen: null, known: null, model: () => shared.chosen, card: () => shared.known };
const read = wireRead(shared);
wireBatch(shared);
const live = wireLive();
let tab = "read";

async function models() {
    try {
        const [{ data }, { model: usual }] = await Promise.all([get("v1/models"), get("./")]);
        const option = ({ id }) => el("option", { value: id === usual ? "" : id, selected: (shared.chosen ?? usual) === id }, id);
        byId("model-choice").replaceChildren(...data.map(option));
        byId("model-chooser").hidden = data.length < 2;
        document.title = data.length === 1 ? `Limbic · ${data[0].id}` : "Limbic";
    } catch {
        // Whoever asks something will be told what is wrong; a chooser is no place for it.
    }
    await card();
}

/** Fetches the card of the model chosen; the first tab needs it as well. */
async function card() {
    shared.known = await drawCard(shared.chosen);
}

function wireModel() {
    byId("model-choice").addEventListener("change", async ({ target }) => {
        shared.chosen = target.value || null;
        await card();
        read.again();
    });
}

function wireTheme() {
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
    const say = () => byId("theme").setAttribute("aria-pressed", String(dark()));
    byId("theme").addEventListener("click", () => {
        root.dataset.theme = dark() ? "light" : "dark";
        try {
            localStorage.setItem("limbic-theme", root.dataset.theme);
        } catch {
            // It holds for this visit.
        }
        say();
    });
    system.addEventListener("change", say);
    say();
}

function wireKey() {
    const dialog = byId("key-dialog");
    const open = () => {
        byId("key-open").hidden = false;
        if (dialog.open) return;
        // A dialog that is left by Escape keeps what it returned before.
        dialog.returnValue = "";
        dialog.showModal();
    };
    let asked = false;
    addEventListener("limbic:key", (event) => {
        byId("key-open").hidden = false;
        // Once by itself; after that only when somebody presses for it.
        if (!asked || event.detail === "pressed") open();
        asked = true;
    });
    byId("key-open").addEventListener("click", open);
    byId("key-open").hidden = !hasKey();
    dialog.addEventListener("close", () => {
        if (dialog.returnValue === "use") setKey(byId("key").value.trim(), byId("key-keep").checked);
        if (dialog.returnValue === "forget") setKey("", false);
        byId("key").value = "";
        if (dialog.returnValue) again();
    });
}

/** Everything once more, after a key was given. */
function again() {
    models();
    read.again();
    live.show(false);
    live.show(tab === "server");
}

wireTheme();
wireKey();
wireModel();
wireTabs(document.querySelector("[role=tablist]"), (name) => {
    tab = name;
    live.show(name === "server");
});
models();
