// The page's modules that know nothing of the page.

import { expect, test } from "@playwright/test";
import { module } from "./support.js";

test("tables are read as RFC 4180 has them", async () => {
    const { parse, LINES } = await module("csv.js");
    const cases = [
        [
            "a,b\r\nc,d\r\n",
            ",",
            [
                ["a", "b"],
                ["c", "d"],
            ],
        ],
        [
            "\ufeffa,b\nc,d",
            ",",
            [
                ["a", "b"],
                ["c", "d"],
            ],
        ],
        [
            '"a,1","b ""q"""\n"c\nd",',
            ",",
            [
                ["a,1", 'b "q"'],
                ["c\nd", ""],
            ],
        ],
        [
            "a;b\n;\n",
            ";",
            [
                ["a", "b"],
                ["", ""],
            ],
        ],
        [
            "a\tb\r\rc\td",
            "\t",
            [
                ["a", "b"],
                ["c", "d"],
            ],
        ],
        ["it's 5\" long,b", ",", [["it's 5\" long", "b"]]],
        ["one, two\n\n  \nthree", LINES, [["one, two"], ["three"]]],
        ['""', ",", []],
        ["", ",", []],
    ];
    for (const [text, delimiter, rows] of cases) expect(parse(text, delimiter), JSON.stringify(text)).toEqual(rows);
});

test("how a table is written is guessed only where every row agrees", async () => {
    const { guessDelimiter, guessHeader, guessColumn, parse } = await module("csv.js");
    const cases = [
        ['id,text\n1,"a, b"\n2,c', ",", true, 1],
        ["1;so it goes, again\n2;and on", ";", false, 1],
        ["a\tlonger text\nb\tanother, longer text", "\t", false, 1],
        ["I love it, really\nno\nwell, well", "lines", false, 0],
        ["text\nI love it", "lines", true, 0],
        ['"quoted, alone"', ",", false, 0],
    ];
    for (const [text, delimiter, header, column] of cases) {
        const found = guessDelimiter(text);
        const rows = parse(text, found);
        expect([found, guessHeader(rows), guessColumn(rows, header)], text).toEqual([delimiter, header, column]);
    }
});

test("no cell runs in a spreadsheet", async () => {
    const { guarded, write } = await module("csv.js");
    for (const cell of ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "-", "+", "=cmd|'/c calc'!A1"])
        expect(guarded(cell)).toBe(`'${cell}`);
    for (const cell of ["-5", "+3.25", "-0,5", "text", "", "a=b", "'=1"]) expect(guarded(cell)).toBe(cell);
    expect(
        write([
            ["a", "=1,2"],
            ['b "c"', "d\ne"],
        ]),
    ).toBe('\ufeffa,"\'=1,2"\r\n"b ""c""","d\ne"\r\n');
});

test("code points become UTF-16 units", async () => {
    const { pieces, starts, wellFormed } = await module("places.js");
    expect(starts("a😭e\u0301👩‍👧")).toEqual([0, 1, 3, 4, 5, 7, 8, 10]);
    expect(
        pieces("a😭b c", [
            { start: 1, end: 2 },
            { start: 4, end: 5 },
        ]),
    ).toEqual([
        { text: "a", at: null },
        { text: "😭", at: 0 },
        { text: "b ", at: null },
        { text: "c", at: 1 },
    ]);
    expect(pieces("", [])).toEqual([]);
    expect(wellFormed("a\ud83d b😭")).toBe("a\ufffd b😭");
});

test("bodies of the bulk route stay small, and no text is lost", async () => {
    const { chunks } = await module("bulk.js");
    const rows = Array.from({ length: 300 }, (_, id) => ({ id, text: id % 50 === 0 ? "x".repeat(19_000) : `text ${id} 😭` }));
    const found = chunks(rows, { model: "m" });
    const lines = found.flatMap((chunk) => {
        const body = [...chunk.values()].join("");
        expect(chunk.size).toBeLessThanOrEqual(64);
        if (chunk.size > 1) expect(body.length).toBeLessThanOrEqual(48 * 1024);
        return body
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line));
    });
    expect(lines).toEqual(rows.map(({ id, text }) => ({ id: String(id), input: text, model: "m" })));
});

test("quantiles are of the time between two readings", async () => {
    const { buckets, parse, quantile, total } = await module("prometheus.js");
    const reading = (counts) =>
        parse(
            [
                "# HELP x y",
                ...["0.1", "0.2", "0.4", "+Inf"].map((le, at) => `x_bucket{le="${le}"} ${counts[at]}`),
                `y_total{route="/v1/\\"a\\"",code="200"} 3`,
                'y_total{route="/b",code="404"} 2e1',
                "z 1",
            ].join("\n"),
        );
    const [before, after] = [reading([10, 10, 10, 10]), reading([10, 20, 30, 30])];
    const of = (q) => quantile(buckets(before, "x"), buckets(after, "x"), q);
    expect(of(0.25)).toBeCloseTo(0.15, 9);
    expect(of(0.5)).toBeCloseTo(0.2, 9);
    expect(of(0.95)).toBeCloseTo(0.38, 9);
    expect(quantile(buckets(after, "x"), buckets(after, "x"), 0.5)).toBe(null);
    expect(total(after, "y_total")).toBe(23);
    expect(total(after, "y_total", ({ code }) => code === "404")).toBe(20);
    expect(total(after, "absent")).toBe(0);
});

test("a probability is never shown as certain", async () => {
    const { percent } = await module("labels.js");
    expect([0, 0.001, 0.005, 0.5, 0.994, 0.999, 1].map(percent)).toEqual(["0", "<1", "1", "50", "99", ">99", "100"]);
});
