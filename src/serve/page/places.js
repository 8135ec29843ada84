// Positions of the API count Unicode code points; JavaScript counts UTF-16 units. Nothing else converts between them.

/** Where each code point begins in UTF-16 units, and at last where the text ends. */
export function starts(text) {
    const found = [];
    let at = 0;
    for (const character of text) {
        found.push(at);
        at += character.length;
    }
    found.push(at);
    return found;
}

/** `text` cut along `spans` (ordered, apart from each other): `{text, at}`, where `at` is the span's index, or null between two. */
export function pieces(text, spans) {
    const units = starts(text);
    const found = [];
    let done = 0;
    spans.forEach(({ start, end }, at) => {
        if (units[start] > done) found.push({ text: text.slice(done, units[start]), at: null });
        found.push({ text: text.slice(units[start], units[end]), at });
        done = units[end];
    });
    if (done < text.length) found.push({ text: text.slice(done), at: null });
    return found;
}

/** `text` without lone surrogates, which no JSON can hold; the number of code points stays. */
export const wellFormed = (text) => (text.toWellFormed ? text.toWellFormed() : text.replace(/\p{Surrogate}/gu, "\ufffd"));
