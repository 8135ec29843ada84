// Tables as text: RFC 4180 in, RFC 4180 out. What goes out is safe to open in a spreadsheet. Nothing here knows the page.

export const LINES = "lines";

/** Cuts text into rows of cells. Quotes are doubled inside quotes; a quoted cell may hold line ends. */
export function parse(text, delimiter) {
    const source = text.replace(/^\ufeff/, "");
    if (delimiter === LINES)
        return source
            .split(/\r\n|\r|\n/)
            .filter((line) => line.trim())
            .map((line) => [line]);
    const rows = [];
    let row = [];
    let cell = "";
    let quoted = false;
    let begun = false;
    const endCell = () => {
        row.push(cell);
        cell = "";
        begun = false;
    };
    const endRow = () => {
        endCell();
        if (row.length > 1 || row[0] !== "") rows.push(row);
        row = [];
    };
    for (let at = 0; at < source.length; at += 1) {
        const unit = source[at];
        if (quoted) {
            if (unit !== '"') cell += unit;
            else if (source[at + 1] === '"') {
                cell += '"';
                at += 1;
            } else quoted = false;
        } else if (unit === '"' && !begun) {
            quoted = true;
            begun = true;
        } else if (unit === delimiter) endCell();
        else if (unit === "\n" || unit === "\r") {
            if (unit === "\r" && source[at + 1] === "\n") at += 1;
            endRow();
        } else {
            cell += unit;
            begun = true;
        }
    }
    if (cell !== "" || row.length || begun) endRow();
    return rows;
}

/** The delimiter that cuts every row alike; one text a line when none does. */
export function guessDelimiter(text) {
    const sample = text.slice(0, 20_000);
    const whole = sample.length === text.length;
    const good = [",", "\t", ";"].filter((delimiter) => {
        const rows = parse(sample, delimiter);
        // The last row of a sample may be cut short.
        const seen = whole || rows.length === 1 ? rows : rows.slice(0, -1);
        return seen.length > 1 && seen[0].length > 1 && seen.every((row) => row.length === seen[0].length);
    });
    if (good.length) return good.reduce((best, other) => (parse(sample, other)[0].length > parse(sample, best)[0].length ? other : best));
    return /^\s*"/.test(sample) ? "," : LINES;
}

const TEXT_NAMES = ["text", "sentence", "tweet", "message", "content", "comment", "body", "review", "input"];

/** Whether the first row names the columns. */
export function guessHeader(rows) {
    const [first, ...rest] = rows;
    if (!first || !rest.length) return false;
    if (first.some((cell) => TEXT_NAMES.includes(cell.trim().toLowerCase()))) return true;
    return (
        first.length > 1 &&
        first.every((cell) => /^[\p{L}_][\p{L}\p{N}_-]{0,30}$/u.test(cell.trim())) &&
        new Set(first).size === first.length
    );
}

/** The column that holds the texts: by its name, else by the length of what it holds. */
export function guessColumn(rows, header) {
    if (header) {
        const named = rows[0].findIndex((cell) => TEXT_NAMES.includes(cell.trim().toLowerCase()));
        if (named >= 0) return named;
    }
    const sample = rows.slice(header ? 1 : 0, 50);
    const width = Math.max(...sample.map((row) => row.length), 1);
    const lengths = Array.from({ length: width }, (_, column) => sample.reduce((sum, row) => sum + (row[column] ?? "").length, 0));
    return lengths.indexOf(Math.max(...lengths));
}

/** A cell that a spreadsheet would run, made text by an apostrophe in front; plain numbers stay numbers. */
export function guarded(cell) {
    if (/^[-+]?\d+([.,]\d+)?$/.test(cell)) return cell;
    return /^[=+\-@\t\r\n＝＋－＠]/.test(cell) ? `'${cell}` : cell;
}

/** Rows as CSV that Excel too takes for UTF-8. */
export function write(rows) {
    const quoted = (cell) => (/[",\r\n;\t]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    return `\ufeff${rows.map((row) => row.map((cell) => quoted(guarded(String(cell)))).join(",")).join("\r\n")}\r\n`;
}
