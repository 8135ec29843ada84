// The second tab: a table goes in and comes out whole, with the API's own figures, safe to open in a spreadsheet.

import { readFile } from "node:fs/promises";
import { ask, expect, module, shot, test } from "./support.js";

const ROWS = [
    ["id", "text", "note"],
    ["1", "We won, I can't believe it! 🎉", "plain"],
    ["2", 'She said "stay",\nand I stayed. 👩‍👩‍👧', "=1+1"],
    ["3", "", "no text"],
    ["4", "=SUM(A1:A9) is not how I feel; I'm sad", "-5"],
    ["5", "@you never listen", "+tel"],
];
const file = (csv, name = "diary.csv") => ({ name, mimeType: "text/csv", buffer: Buffer.from(csv) });

/** Runs what was brought and reads the download. */
async function result(page) {
    await page.locator("#batch-run").click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#batch-download").click()]);
    return { name: download.suggestedFilename(), csv: await readFile(await download.path(), "utf8") };
}

test("a CSV comes back whole, with the API's figures", async ({ page, request }) => {
    const { parse, write } = await module("csv.js");
    await page.locator("#tab-batch").click();
    // Written by hand, so that reading it is tested too.
    const csv = ROWS.map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",")).join("\r\n");
    await page.locator("#file").setInputFiles(file(csv));
    await expect(page.locator("#batch-format")).toHaveValue(",");
    await expect(page.locator("#batch-header")).toBeChecked();
    await expect(page.locator("#batch-column option:checked")).toHaveText("text");
    await expect(page.locator("#batch-run")).toHaveText("Classify 5 rows");
    const { name, csv: given } = await result(page);
    expect(name).toBe("diary-emotions.csv");
    expect(given.startsWith("\ufeff")).toBe(true);
    const [head, ...rows] = parse(given, ",");
    const labels = head.slice(4, -1);
    expect(head.slice(0, 4)).toEqual(["id", "text", "note", "labels"]);
    expect(labels.length).toBe(11);
    expect(rows.length).toBe(5);
    const plain = (cell) => cell.replace(/^'(?=[=+\-@])/, "");
    expect(rows.map((row) => row.slice(0, 3).map(plain))).toEqual(ROWS.slice(1));
    expect(rows.map((row) => row[2])).toEqual(["plain", "'=1+1", "no text", "-5", "'+tel"]);
    expect(rows[3][1].startsWith("'=SUM")).toBe(true);
    let compared = 0;
    for (const [at, row] of rows.entries()) {
        if (!ROWS[at + 1][1]) {
            expect(row.slice(3)).toEqual(["", ...labels.map(() => ""), "no text in this row"]);
            continue;
        }
        const answer = await ask(request, { input: ROWS[at + 1][1] });
        expect(row.slice(3)).toEqual([answer.labels.join("; "), ...labels.map((label) => answer.scores[label].toFixed(4)), ""]);
        compared += 1;
    }
    expect(compared).toBe(4);
    await expect(page.locator("#batch-table tbody tr")).toHaveCount(5);
    await expect(page.locator("#batch-state")).toHaveText("5 of 5 rows answered, 1 without labels");
    await shot(page, "batch-done");
    // What came out goes in again, and nothing more is put in front.
    expect(write(parse(given, ","))).toBe(given);
});

test("pasted lines are one text each, commas or not", async ({ page, request }) => {
    await page.locator("#tab-batch").click();
    const lines = ["I love it, really", "no", "well, well, well"];
    await page.locator("#pasted").fill(lines.join("\n"));
    await expect(page.locator("#batch-format")).toHaveValue("lines");
    const { csv } = await result(page);
    const rows = (await module("csv.js")).parse(csv, ",");
    expect(rows.slice(1).map((row) => row[0])).toEqual(lines);
    for (const [at, line] of lines.entries()) expect(rows[at + 1][1]).toBe((await ask(request, { input: line })).labels.join("; "));
});

test("a file can be dropped, and a long one shows how far it is and can be stopped", async ({ page }) => {
    await page.locator("#tab-batch").click();
    const csv = ["text", ...Array.from({ length: 1500 }, (_, at) => `day ${at} was long and I am tired of waiting`)].join("\n");
    const held = await page.evaluateHandle((text) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([text], "days.csv", { type: "text/csv" }));
        return transfer;
    }, csv);
    await page.locator("#drop").dispatchEvent("drop", { dataTransfer: held });
    await expect(page.locator("#batch-run")).toBeVisible();
    await expect(page.locator("#batch-header")).toBeChecked();
    await expect(page.locator("#batch-run")).toHaveText("Classify 1,500 rows");
    await page.locator("#batch-run").click();
    await expect.poll(() => page.locator("#batch-progress").evaluate((bar) => bar.value)).toBeGreaterThan(0);
    await expect(page.locator("#batch-table tbody tr").first()).toBeVisible();
    await page.locator("#batch-cancel").click();
    await expect(page.locator("#batch-download")).toBeVisible();
    await expect(page.locator("#batch-retry")).toHaveText(/^Ask again for [\d,]+ rows$/);
    const said = await page.locator("#batch-state").textContent();
    expect(Number(said.split(" ")[0].replace(",", ""))).toBeLessThan(1500);
    await page.locator("#batch-retry").click();
    await expect(page.locator("#batch-state")).toHaveText("1,500 of 1,500 rows answered", { timeout: 45_000 });
    await expect(page.locator("#batch-retry")).toBeHidden();
});
