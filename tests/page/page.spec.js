// The page as a whole: keys, looks, what it says of the model and the server, and what it does when it is refused.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { TEXT, expect, shot, test } from "./support.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TABS = ["read", "batch", "model", "server"];

test("keys alone reach everything", async ({ page }) => {
    await page.keyboard.press("Tab");
    await expect(page.locator(".skip")).toBeFocused();
    await page.keyboard.press("Tab");
    const order = [
        ["ArrowRight", "batch"],
        ["ArrowRight", "model"],
        ["End", "server"],
        ["ArrowRight", "read"],
        ["ArrowLeft", "server"],
        ["Home", "read"],
    ];
    for (const [key, name] of order) {
        await page.keyboard.press(key);
        await expect(page.locator(`#tab-${name}`)).toBeFocused();
        for (const other of TABS) {
            await expect(page.locator(`#tab-${other}`)).toHaveAttribute("aria-selected", String(other === name));
            await expect(page.locator(`#${other}`)).toBeVisible({ visible: other === name });
        }
        expect(new URL(page.url()).hash).toBe(name === "read" ? "" : `#${name}`);
    }
    // One stop for the tabs, then the theme, then the panel.
    await page.keyboard.press("Tab");
    await expect(page.locator("#theme")).toBeFocused();
    await page.keyboard.press("Tab");
    await expect(page.locator("#text")).toBeFocused();
    await page.keyboard.type("so happy");
    await expect(page.locator("#finding")).toBeVisible();
    const reached = [];
    for (let at = 0; at < 12; at += 1) {
        await page.keyboard.press("Tab");
        reached.push(
            await page.evaluate(() => document.activeElement.name || document.activeElement.id || document.activeElement.textContent),
        );
        // Whatever has the focus shows it.
        const outline = await page.evaluate(() => {
            const now = document.activeElement;
            const shown = [now, now.nextElementSibling, now.closest(".sheet")].filter(Boolean);
            return shown.some((node) => getComputedStyle(node).outlineStyle !== "none");
        });
        expect(outline, reached.at(-1)).toBe(true);
        if (reached.at(-1) === "label-set") break;
    }
    expect(reached).toEqual(["good news", "a quarrel", "a long wait", "mode", "label-set"]);
});

test("an address names its tab", async ({ page }) => {
    await page.goto("/#model");
    await page.reload();
    await expect(page.locator("#model")).toBeVisible();
    await expect(page.locator("#tab-model")).toHaveAttribute("aria-selected", "true");
});

/** Complaints of axe that matter. */
async function serious(page) {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
}

for (const scheme of ["light", "dark"]) {
    for (const width of [390, 1440]) {
        test.describe(`${scheme} at ${width}`, () => {
            test.use({ colorScheme: scheme, viewport: { width, height: 900 }, reducedMotion: "reduce" });
            test("reads well and fits", async ({ page }) => {
                let seen = 0;
                const look = async (name) => {
                    expect(await serious(page), name).toEqual([]);
                    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
                    expect(over, name).toBeLessThanOrEqual(0);
                    await shot(page, `${name}-${scheme}-${width}`);
                    seen += 1;
                };
                await look("rest");
                await page.locator("#text").fill(TEXT);
                await expect(page.locator("#bars .bar").first()).toBeVisible();
                await look("read");
                await page.locator("[name=mode][value=sentences]").check();
                await expect(page.locator("#reading .part").first()).toBeVisible();
                await look("sentences");
                await page.locator("[name=mode][value=words]").check();
                await expect(page.locator("#reading .word").first()).toBeVisible();
                await look("words");
                await page.locator("#tab-batch").click();
                await page.locator("#pasted").fill("id,text\n1,We won!\n2,I miss the old house\n3,You never listen");
                await page.locator("#batch-run").click();
                await expect(page.locator("#batch-download")).toBeVisible();
                await look("batch");
                await page.locator("#tab-model").click();
                await expect(page.locator("#card h2")).toBeVisible();
                await look("model");
                await page.locator("#tab-server").click();
                await expect(page.locator(".spark-line").first()).toBeAttached();
                await look("server");
                expect(seen).toBe(7);
            });
        });
    }
}

test.describe("in the dark", () => {
    test.use({ colorScheme: "dark" });
    test("the system's choice holds until somebody makes one, which is kept", async ({ page }) => {
        const dark = () =>
            page.evaluate(() => {
                const canvas = document.createElement("canvas").getContext("2d");
                canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
                canvas.fillRect(0, 0, 1, 1);
                return canvas.getImageData(0, 0, 1, 1).data[0] < 80;
            });
        expect(await dark()).toBe(true);
        await expect(page.locator("#theme")).toHaveAttribute("aria-pressed", "true");
        await page.locator("#theme").click();
        expect(await dark()).toBe(false);
        await page.reload();
        expect(await dark()).toBe(false);
        await page.locator("#theme").click();
        expect(await dark()).toBe(true);
    });
});

test("the card is the API's", async ({ page, request }) => {
    const { model } = await (await request.get("/")).json();
    const card = await (await request.get(`/v1/models/${model}`)).json();
    await page.locator("#tab-model").click();
    await expect(page.locator("#card h2")).toHaveText(`${card.id} ${card.version}`);
    const rows = page.locator(".figures.labels tbody tr");
    await expect(rows).toHaveCount(card.labels.length);
    const held = card.metrics.find(({ name }) => name === "held_out");
    for (const [at, { name, threshold }] of card.labels.entries()) {
        await expect(rows.nth(at)).toContainText(name);
        await expect(rows.nth(at)).toContainText(threshold.toFixed(3));
        const { value, interval } = held.tuned.labels[name].f1;
        await expect(rows.nth(at)).toContainText(`${value.toFixed(3)} ${interval[0].toFixed(3)}–${interval[1].toFixed(3)}`);
    }
    for (const part of [card.digest, card.provenance.base.licence, card.threshold_policy])
        await expect(page.locator(".origin")).toContainText(part);
    await page.locator("#measured-set").selectOption("out_of_fold");
    const folds = card.metrics.find(({ name }) => name === "out_of_fold");
    await expect(page.locator("#card")).toContainText(folds.tuned.overall.macro_f1.value.toFixed(3));
});

test("a card with scores has a reliability diagram a label", async ({ page }) => {
    const bins = Array.from({ length: 10 }, (_, at) => ({ from: at / 10, rows: 100, score: at / 10 + 0.05, held: at / 10 + 0.02 }));
    await page.route("**/v1/models/*", async (route) => {
        const response = await route.fetch();
        const card = await response.json();
        const labels = Object.fromEntries(card.labels.map(({ name }) => [name, bins]));
        await route.fulfill({ response, json: { ...card, scores: { set: "out_of_fold", labels } } });
    });
    await page.goto("/#model");
    await page.reload();
    await expect(page.locator(".reliability")).toHaveCount(11);
    await expect(page.locator(".reliability").first().locator("circle")).toHaveCount(10);
    expect(await serious(page)).toEqual([]);
    await shot(page, "model-reliability");
});

test("of several models the chosen one is asked", async ({ page }) => {
    const asked = [];
    await page.route("**/v1/models", (route) =>
        route.fulfill({ json: { object: "list", data: [{ id: "another" }, { id: "tweet-emotion-minilm" }] } }),
    );
    await page.route("**/v1/models/another", async (route) => {
        const response = await route.fetch({ url: route.request().url().replace("another", "tweet-emotion-minilm") });
        await route.fulfill({ response, json: { ...(await response.json()), id: "another" } });
    });
    await page.route("**/v1/emotions", (route) => {
        const body = route.request().postDataJSON();
        asked.push(body.model ?? null);
        const { model, ...rest } = body;
        return route.continue({ postData: JSON.stringify(rest) });
    });
    await page.reload();
    await expect(page.locator("#model-choice")).toBeVisible();
    await expect(page.locator("#model-choice option:checked")).toHaveText("tweet-emotion-minilm");
    await page.locator("#text").fill("so happy");
    await expect(page.locator("#finding")).toBeVisible();
    await page.locator("#model-choice").selectOption("another");
    await expect.poll(() => asked).toEqual([null, "another"]);
    await page.locator("#tab-model").click();
    await expect(page.locator("#card h2")).toContainText("another");
});

test("the server's figures move while somebody looks, and rest while nobody does", async ({ page, request }) => {
    let scrapes = 0;
    page.on("request", (made) => {
        if (made.url().endsWith("/metrics")) scrapes += 1;
    });
    await page.locator("#tab-server").click();
    await expect(page.locator(".tile")).toHaveCount(6);
    const tile = (title) => page.locator(".tile", { hasText: title }).locator(".big");
    for (let at = 0; at < 40; at += 1) await request.post("/v1/emotions", { data: { input: `figure ${at}` } });
    await expect(tile("Half are answered within")).toHaveText(/^[\d.]+ m?s( since it began)?$/);
    await expect(tile("Nineteen in twenty within")).toHaveText(/^[\d.]+ m?s( since it began)?$/);
    await expect.poll(async () => Number(await tile("Requests a second").textContent())).toBeGreaterThan(0);
    await expect(page.locator(".stage-list li")).toHaveCount(4);
    await expect(page.locator("#live table")).toContainText("/v1/emotions");
    await page.locator("#tab-read").click();
    const before = scrapes;
    expect(before).toBeGreaterThan(1);
    await page.waitForTimeout(4500);
    expect(scrapes).toBe(before);
});

test.describe("refused", () => {
    test.use({ expected: ["status of 401", "status of 429", "status of 404", "net::ERR_FAILED"] });

    test("without a key it asks for one, keeps it in memory, and forgets it", async ({ page }) => {
        const problem = {
            type: "urn:limbic:problem:unauthorized",
            title: "A key is needed",
            status: 401,
            detail: "this server asks for a key",
            code: "unauthorized",
            retryable: false,
        };
        const brought = [];
        await page.route("**/v1/emotions", (route) => {
            const key = route.request().headers().authorization ?? null;
            brought.push(key);
            return key === "Bearer s3cret"
                ? route.continue()
                : route.fulfill({ status: 401, contentType: "application/problem+json", json: problem });
        });
        await page.locator("#text").fill("so happy");
        await expect(page.locator("#key-dialog")).toBeVisible();
        await expect(page.locator("#key")).toBeFocused();
        expect(await serious(page)).toEqual([]);
        await shot(page, "refused-key");
        await page.locator("#key").fill("s3cret");
        await page.keyboard.press("Enter");
        await expect(page.locator("#key-dialog")).toBeHidden();
        await expect(page.locator("#finding")).toBeVisible();
        expect(brought).toEqual([null, "Bearer s3cret"]);
        const kept = () => page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));
        expect(await kept()).not.toContain("s3cret");
        // Leaving the dialog changes nothing.
        await page.locator("#key-open").click();
        await page.keyboard.press("Escape");
        await page.locator("#text").fill("so glad");
        await expect.poll(() => brought).toEqual([null, "Bearer s3cret", "Bearer s3cret"]);
        await page.locator("#key-open").click();
        await page.locator("#key").fill("s3cret");
        await page.locator("#key-keep").check();
        await page.locator("#key-form button[value=use]").click();
        expect(await page.evaluate(() => ({ ...sessionStorage }))).toEqual({ "limbic-key": "s3cret" });
        await page.locator("#key-open").click();
        await page.locator("#key-form button[value=forget]").click();
        expect(await kept()).not.toContain("s3cret");
        await expect(page.locator("#read-notice")).toContainText("this server asks for a key");
        await expect(page.locator("#key-dialog")).toBeHidden();
    });

    test("when it is too much it says for how long, and tries again by itself", async ({ page }) => {
        let tried = 0;
        const problem = {
            title: "Too many requests waiting",
            status: 429,
            detail: "too many texts are waiting; try again in 2 s",
            code: "overloaded",
            request_id: "r-1",
            retryable: true,
        };
        await page.route("**/v1/emotions", (route) => {
            tried += 1;
            return tried > 1
                ? route.continue()
                : route.fulfill({ status: 429, headers: { "retry-after": "2" }, contentType: "application/problem+json", json: problem });
        });
        await page.locator("#text").fill("so happy");
        const notice = page.locator("#read-notice");
        await expect(notice).toContainText(problem.detail);
        await expect(notice.locator("button")).toHaveText(/^Trying again in [12] s$/);
        await expect(notice).toContainText("r-1");
        await shot(page, "refused-busy");
        await expect(page.locator("#finding")).toBeVisible();
        await expect(notice).toBeHidden();
        expect(tried).toBe(2);
    });

    test("a table waits for a busy server, and then goes on", async ({ page }) => {
        let tried = 0;
        await page.route("**/v1/emotions/bulk", (route) => {
            tried += 1;
            const busy = { status: 429, headers: { "retry-after": "2" }, contentType: "application/problem+json", json: { title: "Busy" } };
            return tried > 1 ? route.continue() : route.fulfill(busy);
        });
        await page.locator("#tab-batch").click();
        await page.locator("#pasted").fill("We won!\nI miss the old house");
        await page.locator("#batch-run").click();
        await expect(page.locator("#batch-state")).toContainText(/going on in [12] s/);
        await expect(page.locator("#batch-spoken")).toHaveText("2 of 2 rows answered");
        expect(tried).toBe(2);
    });

    test("rows that are refused for now are asked for again", async ({ page }) => {
        const asked = [];
        await page.route("**/v1/emotions/bulk", async (route) => {
            const lines = route.request().postData().trim().split("\n");
            asked.push(lines.map((line) => JSON.parse(line).id));
            const response = await route.fetch();
            const answers = (await response.text())
                .trim()
                .split("\n")
                .map((line) => JSON.parse(line));
            const spent = { title: "The key's rate is spent", detail: "try again in 1 s", code: "rate_limited", retryable: true };
            const body = answers.map((line, at) => (at > 0 && asked.length < 3 ? { line: line.line, id: line.id, error: spent } : line));
            await route.fulfill({ response, body: body.map((line) => `${JSON.stringify(line)}\n`).join("") });
        });
        await page.locator("#tab-batch").click();
        await page.locator("#pasted").fill("We won!\nI miss the old house\nYou never listen\nIt rains");
        await page.locator("#batch-run").click();
        await expect(page.locator("#batch-spoken")).toHaveText("4 of 4 rows answered");
        expect(asked).toEqual([
            ["0", "1", "2", "3"],
            ["1", "2", "3"],
            ["2", "3"],
        ]);
        await expect(page.locator("#batch-retry")).toBeHidden();
    });

    test("no connection is no silence", async ({ page }) => {
        await page.route("**/v1/emotions", (route) => route.abort());
        await page.locator("#text").fill("so happy");
        await expect(page.locator("#read-notice")).toContainText("cannot be reached");
        await page.unroute("**/v1/emotions");
        await page.locator("#read-notice button").click();
        await expect(page.locator("#finding")).toBeVisible();
    });

    test("metrics on another port are said to be there", async ({ page }) => {
        await page.route("**/metrics", (route) =>
            route.fulfill({
                status: 404,
                contentType: "application/problem+json",
                json: { title: "No such route", detail: "no such route" },
            }),
        );
        await page.locator("#tab-server").click();
        await expect(page.locator("#server-notice")).toContainText("admin port");
    });
});
