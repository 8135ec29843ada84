// The first tab: what stands on it is what the API says, at the places the API says.

import { TEXT, ask, bars, cut, expect, expectBars, shot, test } from "./support.js";

const type = (page, text) => page.locator("#text").pressSequentially(text, { delay: 5 });
const mode = (page, value) => page.locator(`[name=mode][value=${value}]`).check();

test("typing shows the bars of what stands there", async ({ page, request }) => {
    await expect(page.locator("#finding")).toBeHidden();
    const text = "I can't believe we won, I'm shaking with joy!";
    await type(page, text);
    const result = await ask(request, { input: text });
    await expectBars(page, result, result.thresholds.values);
    expect(result.labels).toContain("joy");
    for (const label of result.labels) await expect(page.locator("#verdict")).toContainText(label);
    await expect(page.locator("#spoken")).toContainText("joy");
    await expect(page.locator("#read-facts")).toContainText(`${result.tokens} tokens`);
    await expect(page.locator("#doubt")).toContainText("threshold");
    await page.locator("#text").fill("");
    await expect(page.locator("#finding")).toBeHidden();
    await expect(page.locator("#resting")).toBeVisible();
});

test("a newer text calls the older question back", async ({ page, request }) => {
    let held = 0;
    const gone = [];
    page.on("requestfailed", (failed) => gone.push(failed.postDataJSON()?.input));
    await page.route("**/v1/emotions", async (route) => {
        held += 1;
        if (held === 1) await new Promise((resolve) => setTimeout(resolve, 1500));
        await route.continue().catch(() => {
            /* It was called back. */
        });
    });
    await page.locator("#text").fill("I am furious");
    await expect.poll(() => held).toBe(1);
    await page.locator("#text").fill("I am delighted");
    const result = await ask(request, { input: "I am delighted" });
    await expectBars(page, result, result.thresholds.values);
    await page.waitForTimeout(1800);
    await expectBars(page, result, result.thresholds.values);
    expect(gone).toEqual(["I am furious"]);
});

test("sentences are marked where they stand, emoji and all", async ({ page, request }) => {
    await mode(page, "sentences");
    await page.locator("#text").fill(TEXT);
    const result = await ask(request, { input: TEXT, granularity: "sentence" });
    expect(result.spans.length).toBeGreaterThanOrEqual(3);
    const parts = page.locator("#reading .part");
    await expect(parts).toHaveText(
        result.spans.map((span) => cut(TEXT, span)),
        { useInnerText: false },
    );
    expect(await parts.evaluateAll((all) => all.map((part) => part.textContent))).toEqual(result.spans.map((span) => cut(TEXT, span)));
    expect(await page.locator("#reading").evaluate((reading) => reading.textContent)).toBe(TEXT);
    await shot(page, "read-sentences");

    await parts.nth(1).click();
    await expect(page.locator("#finding-title")).toHaveText(`Sentence 2 of ${result.spans.length} expresses`);
    await expectBars(page, result.spans[1], result.thresholds.values);
    await expect(parts.nth(1)).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(page.locator("#finding-title")).toHaveText("It expresses");
    await expectBars(page, result, result.thresholds.values);

    await page.locator("[name=lens][value=surprise]").check();
    await page.keyboard.press("ArrowLeft");
    await expect(page.locator("[name=lens][value=sadness]")).toBeFocused();
    for (const [at, span] of result.spans.entries()) {
        const shown = await parts.nth(at).evaluate((part) => Number(part.style.getPropertyValue("--score")));
        expect(shown).toBeCloseTo(span.scores.sadness, 5);
    }
});

test("words are marked by what they do to a label", async ({ page, request }) => {
    const text = "I love this 😭 house, and I miss it.";
    await mode(page, "words");
    await page.locator("#text").fill(text);
    await expect(page.locator("#reading .word").first()).toBeVisible();
    await page.locator("[name=lens][value=love]").check();
    const { explanation } = await ask(request, { input: text, explain: ["love"] });
    expect(explanation.words.length).toBeGreaterThanOrEqual(8);
    const shown = () => page.locator("#reading .word").evaluateAll((all) => all.map((word) => [word.textContent, word.dataset.effect]));
    await expect.poll(shown).toEqual(explanation.words.map((word) => [cut(text, word), String(word.effects.love)]));
    expect(await page.locator("#reading").evaluate((reading) => reading.textContent)).toBe(text);
    const strongest = explanation.words.reduce((best, word) => (word.effects.love > best.effects.love ? word : best));
    await expect(page.locator(".effects li").first()).toContainText(cut(text, strongest));
    await shot(page, "read-words");
});

test("another label set has its own bars and none of the model's thresholds", async ({ page, request }) => {
    await page.locator("#text").fill("What a lovely surprise!");
    await page.locator("#label-set").selectOption("ekman-6");
    const result = await ask(request, { input: "What a lovely surprise!", label_set: "ekman-6" });
    await expectBars(page, result, null);
    expect((await bars(page)).length).toBe(6);
    await expect(page.locator("#legend")).toBeHidden();
});

test("a text longer than the model reads at once is read to its end, and that is said", async ({ page, request }) => {
    const text = "I was glad to see the garden again. ".repeat(40).trim();
    await page.locator("#text").fill(text);
    const result = await ask(request, { input: text, long_text: "window" });
    await expectBars(page, result, result.thresholds.values);
    await expect(page.locator("#read-facts")).toContainText("read through windows");
});

test.describe("refusals", () => {
    test.use({ expected: ["status of 422"] });
    test("what the API refuses is said in its words", async ({ page, request }) => {
        const text = "word ".repeat(200).trim();
        await mode(page, "words");
        await page.locator("#text").fill(text);
        const refused = await request.post("/v1/emotions", { data: { input: text, explain: true } });
        expect(refused.status()).toBe(422);
        await expect(page.locator("#read-notice")).toContainText((await refused.json()).detail);
        await expect(page.locator("#finding")).toBeHidden();
        await mode(page, "text");
        await expect(page.locator("#read-notice")).toBeHidden();
        await expect(page.locator("#finding")).toBeVisible();
    });
});
