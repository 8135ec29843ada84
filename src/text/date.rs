//! A day, as the templates of chats write it: C's `strftime` for a date that stands still.
//!
//! Some templates tell the model what day it is. The day is then a part of the prompt, so it is stated
//! with the model and never read from a clock. The time of day is midnight, the zone is UTC.

use super::TextError;

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// Reads `YYYY-MM-DD`.
    pub(super) fn parse(text: &str) -> Result<Self, TextError> {
        let wrong = || TextError::Prompt { reason: format!("date is {text:?}: expected a day as YYYY-MM-DD") };
        let numbers: Vec<i64> = text.split('-').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        match numbers[..] {
            [year, month, day] if text.len() == 10 && (1..=12).contains(&month) && (1..=days(year, month)).contains(&day) => {
                Ok(Self { year, month, day })
            }
            _ => Err(wrong()),
        }
    }

    /// The day in a format of `strftime`; names are English.
    ///
    /// # Errors
    /// A directive that is not among `%Y %y %m %d %e %b %B %a %A %j %H %M %S %%`, or one of those
    /// with `-` before the letter, which leaves out leading zeros.
    pub(super) fn format(self, format: &str) -> Result<String, String> {
        let mut out = String::with_capacity(format.len());
        let mut rest = format.chars();
        while let Some(character) = rest.next() {
            if character != '%' {
                out.push(character);
                continue;
            }
            let unknown = || format!("%{} in the date format {format:?} is not supported", rest.as_str());
            match rest.clone().next() {
                Some('-') => {
                    let value = rest.clone().nth(1).and_then(|letter| self.directive(letter)).ok_or_else(unknown)?;
                    out.push_str(value.trim_start_matches(['0', ' ']));
                    rest.nth(1);
                }
                Some(letter) => {
                    out.push_str(&self.directive(letter).ok_or_else(unknown)?);
                    rest.next();
                }
                None => return Err(unknown()),
            }
        }
        Ok(out)
    }

    fn directive(self, letter: char) -> Option<String> {
        let Self { year, month, day } = self;
        let (month_name, weekday) = (MONTHS[(month - 1) as usize], WEEKDAYS[self.weekday()]);
        Some(match letter {
            'Y' => format!("{year:04}"),
            'y' => format!("{:02}", year % 100),
            'm' => format!("{month:02}"),
            'd' => format!("{day:02}"),
            'e' => format!("{day:2}"),
            'b' => month_name[..3].to_owned(),
            'B' => month_name.to_owned(),
            'a' => weekday[..3].to_owned(),
            'A' => weekday.to_owned(),
            'j' => format!("{:03}", day + (1..month).map(|month| days(year, month)).sum::<i64>()),
            'H' | 'M' | 'S' => "00".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }

    /// Days behind Sunday.
    fn weekday(self) -> usize {
        // The first of January of the year 1 was a Monday.
        let before = self.year - 1;
        let years = before * 365 + before / 4 - before / 100 + before / 400;
        let months: i64 = (1..self.month).map(|month| days(self.year, month)).sum();
        (years + months + self.day).rem_euclid(7) as usize
    }
}

fn days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_strftime_writes_them() {
        for (day, format, expected) in [
            ("2024-12-07", "%d %b %Y", "07 Dec 2024"),
            ("2024-12-07", "%A, %B %-d (%a %e %y, day %j)", "Saturday, December 7 (Sat  7 24, day 342)"),
            ("2000-02-29", "%Y-%m-%dT%H:%M:%S 100%%", "2000-02-29T00:00:00 100%"),
            ("1970-01-01", "%a %-m/%-d", "Thu 1/1"),
        ] {
            assert_eq!(Date::parse(day).expect("a day").format(format).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["", "2024-13-01", "2023-02-29", "1900-02-29", "24-1-1", "2024-1-01", "07 Dec 2024", "2024-12-07 "] {
            let told = Date::parse(text).expect_err("no day").to_string();
            assert!(told.contains("expected a day as YYYY-MM-DD"), "{told}");
        }
        let day = Date::parse("2024-12-07").expect("a day");
        for format in ["%Q", "%", "%-", "%-Q"] {
            assert!(day.format(format).is_err(), "{format:?} passed");
        }
    }
}
