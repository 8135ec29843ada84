// What a label looks like: a hue each, the same wherever it stands. Colour belongs to labels alone on this page, and never
// says anything by itself.

/** Degrees in OKLCH, for names that are known; related emotions lie side by side. */
const HUES = {
    anger: 27,
    annoyance: 36,
    disapproval: 42,
    anticipation: 58,
    excitement: 64,
    amusement: 74,
    joy: 84,
    pride: 92,
    gratitude: 104,
    optimism: 122,
    disgust: 136,
    approval: 148,
    positive: 148,
    relief: 162,
    trust: 168,
    admiration: 178,
    realization: 190,
    surprise: 208,
    curiosity: 218,
    disappointment: 244,
    sadness: 256,
    grief: 264,
    remorse: 272,
    pessimism: 284,
    confusion: 294,
    ambiguous: 294,
    fear: 306,
    nervousness: 316,
    embarrassment: 332,
    caring: 348,
    love: 4,
    desire: 14,
    negative: 27,
};

/** Another name's hue follows from its letters, so that it is the same tomorrow. */
function hueOf(label) {
    const known = HUES[label.toLowerCase()];
    if (known !== undefined) return known;
    let hash = 7;
    for (const character of label) hash = (hash * 31 + character.codePointAt(0)) % 3600;
    return hash / 10;
}

/** The custom properties that `.toned` is drawn with. */
export const toned = (label) => ({ "--hue": hueOf(label), "--chroma": label.toLowerCase() === "neutral" ? 0 : 1 });

/** `love_of_life` as words. */
export const spelled = (label) => label.replaceAll("_", " ");

/** A probability as it is shown: two digits, and never a false 0 or 1. */
export function percent(score) {
    const rounded = Math.round(score * 100);
    if (rounded === 0 && score > 0) return "<1";
    if (rounded === 100 && score < 1) return ">99";
    return String(rounded);
}
