// What every test of the page needs: a page that complains, the API beside it, and the page's own modules.

import { expect, test as base } from "@playwright/test";
import { given } from "./playwright.config.js";

export { expect };

/** A text of ours with emoji of one, two and many code points. */
export const TEXT = "So happy 😭🎉 we won! And then it rained, all day. 👩‍👩‍👧 We danced anyway.";

export const test = base.extend({
    /** What the browser may complain of in this test, as a part of the message. */
    expected: [[], { option: true }],
    /** The page at `/`, loaded. At the end it has had no errors, and no request has left the origin. */
    page: async ({ page, baseURL, expected }, use) => {
        const complaints = [];
        const note = (text) => {
            if (!expected.some((part) => text.includes(part))) complaints.push(text);
        };
        page.on("console", (message) => {
            if (["error", "warning"].includes(message.type())) note(message.text());
        });
        page.on("pageerror", (error) => note(`page error: ${error.stack}`));
        page.on("request", (request) => {
            const { protocol, origin } = new URL(request.url());
            if (protocol !== "blob:" && origin !== new URL(baseURL).origin) note(`left the origin: ${request.url()}`);
        });
        await page.goto("/");
        await use(page);
        expect(complaints).toEqual([]);
    },
});

/** The API's own answer to `body`. */
export async function ask(request, body) {
    const response = await request.post("/v1/emotions", { data: body });
    expect(response.status(), await response.text()).toBe(200);
    return (await response.json()).results[0];
}

/** The bars as they stand: label, score, threshold and whether it holds. */
export function bars(page) {
    return page.locator("#bars .bar").evaluateAll((rows) =>
        rows.map((row) => ({
            label: row.dataset.label,
            score: Number(row.querySelector("[role=meter]").getAttribute("aria-valuenow")),
            threshold: row.querySelector(".threshold").hidden ? null : Number(row.style.getPropertyValue("--threshold")),
            holds: row.dataset.holds === "true",
        })),
    );
}

/** Waits until the bars are those of `result`, a part of an answer. */
export async function expectBars(page, { scores, labels }, thresholds) {
    const rows = Object.entries(scores).map(([label, score]) => ({
        label,
        score: Number(score.toFixed(4)),
        threshold: thresholds?.[label] ?? null,
        holds: labels.includes(label),
        exact: score,
    }));
    rows.sort((left, right) => right.exact - left.exact);
    expect(rows.length).toBeGreaterThan(2);
    await expect.poll(() => bars(page)).toEqual(rows.map(({ exact, ...row }) => row));
}

/** `text[start:end]` in code points, as the API means it. */
export const cut = (text, { start, end }) => [...text].slice(start, end).join("");

/** Keeps a picture for whoever wants to look. */
export async function shot(page, name) {
    await page.screenshot({ animations: "disabled", path: `${given("LIMBIC_PAGE_OUT")}/${name}.png`, fullPage: true });
}

/** One of the page's modules, run here. */
export const module = (name) => import(`./served/${name}`);
