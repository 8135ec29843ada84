// One Chromium, one live server: scripts/check_page says where both are.

import { defineConfig } from "@playwright/test";

/** A variable that scripts/check_page sets. */
export function given(name) {
    const value = process.env[name];
    if (!value) throw new Error(`${name} is not set: run scripts/test --page, or scripts/check_page PROGRAM`);
    return value;
}

export default defineConfig({
    testDir: ".",
    outputDir: `${given("LIMBIC_PAGE_OUT")}/failures`,
    forbidOnly: true,
    retries: 0,
    // The server has two workers; figures of the last tab would be of several tests at once.
    workers: 1,
    timeout: 60_000,
    expect: { timeout: 20_000 },
    reporter: [["list"]],
    use: {
        baseURL: given("LIMBIC_URL"),
        launchOptions: {
            executablePath: given("LIMBIC_CHROMIUM"),
            // Chromium's sandbox refuses the superuser, whom containers run as.
            args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
        },
        screenshot: "only-on-failure",
    },
});
