//! How names and numbers are written on plots and in tables.

use crate::bundle::Figure;

/// Room for a label's name beside a row.
pub(crate) const NAME_WIDTH: f64 = 112.0;
/// Characters that fit into it.
const NAME_LENGTH: usize = 17;

/// A name cut to fit beside a row.
pub(crate) fn shorten(name: &str) -> String {
    if name.chars().count() <= NAME_LENGTH { name.to_owned() } else { name.chars().take(NAME_LENGTH - 1).chain(['\u{2026}']).collect() }
}

/// A figure, with its interval when it has one.
pub(crate) fn figure(figure: Option<&Figure>) -> String {
    match figure {
        None => "\u{2013}".to_owned(),
        Some(Figure { value, interval: None }) => format!("{value:.3}"),
        Some(Figure { value, interval: Some((low, high)) }) => format!("{value:.3} [{low:.3}, {high:.3}]"),
    }
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// `rows rows`, with the word in its number.
pub(crate) fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

/// The name of a measured set, for people.
pub(crate) fn set(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// The day of a moment given in seconds since 1970, in universal time: `2026-11-24`.
pub(crate) fn date(seconds: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut days, mut year, mut month) = (seconds / 86_400, 1970, 1);
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let days = [(0, "1970-01-01"), (951_782_399, "2000-02-28"), (951_782_400, "2000-02-29"), (951_868_800, "2000-03-01")];
        for (seconds, expected) in days.into_iter().chain([(1_735_689_599, "2024-12-31"), (4_107_542_400, "2100-03-01")]) {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(shorten("surprise"), "surprise");
        assert_eq!(
            shorten("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}")
                .chars()
                .count(),
            17
        );
        assert_eq!([set("out_of_fold"), set("\u{e9}"), set("")], ["Out of fold", "\u{e9}", ""]);
    }
}
