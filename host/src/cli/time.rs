//! Times on the command line: printed in UTC, read as people write them.

use super::lifetime;

/// A time as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// Unix seconds.
    At(u64),
    /// So many seconds away from now.
    Away(u64),
}

impl Time {
    /// In Unix seconds, where a span of time leads back from now.
    pub(crate) fn ago(self, now: u64) -> u64 {
        match self {
            Self::At(at) => at,
            Self::Away(seconds) => now.saturating_sub(seconds),
        }
    }

    /// In Unix seconds, where a span of time leads forward from now.
    pub(crate) fn ahead(self, now: u64) -> u64 {
        match self {
            Self::At(at) => at,
            Self::Away(seconds) => now.saturating_add(seconds),
        }
    }
}

/// Reads `1795274879`, `2026-11-21`, `2026-11-21 15:27`, `2026-11-21 15:27:59` (all UTC), or a span like `30d`.
///
/// # Errors
///
/// Says what was expected.
pub(crate) fn time(text: &str) -> Result<Time, String> {
    let at = if is_number(text) { text.parse().ok() } else { written(text) };
    let away = || lifetime::seconds(text).ok().filter(|_| !is_number(text)).map(Time::Away);
    at.map(Time::At).or_else(away).ok_or_else(|| {
        format!(
            "`{text}` is no time, expected Unix seconds, `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS` (UTC), or a span like 30d"
        )
    })
}

/// `2026-11-21 15:27:59 UTC`
pub(crate) fn shown(unix_seconds: u64) -> String {
    let (year, month, day) = date(unix_seconds / DAY);
    let second = unix_seconds % DAY;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

/// The same, or nothing.
pub(crate) fn shown_if_any(unix_seconds: Option<u64>) -> String {
    unix_seconds.map(shown).unwrap_or_default()
}

const DAY: u64 = 24 * 60 * 60;

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The Unix seconds of a date with or without a time.
fn written(text: &str) -> Option<u64> {
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix('Z')).unwrap_or(text);
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let time = if time.len() == "HH:MM".len() { format!("{time}:00") } else { time.to_owned() };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(&time, ':')?;
    let at = days(year, month, day)?.checked_mul(DAY)? + hour * 3600 + minute * 60 + second;
    // Written again it is the same: so there is such a day, such an hour, and each number had all of its digits.
    (shown(at) == format!("{date} {time} UTC")).then_some(at)
}

/// Three numbers of up to four digits.
fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let number = |part: &str| part.parse().ok().filter(|_| is_number(part) && part.len() <= 4);
    match parts.as_slice() {
        [first, second, third] => Some([number(first)?, number(second)?, number(third)?]),
        _ => None,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, after Howard Hinnant's `days_from_civil`: years begin in
/// March, so that the day that some lack is their last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let in_march_years = if month > 2 { year } else { year.checked_sub(1)? };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let leap_days = in_march_years / 4 - in_march_years / 100 + in_march_years / 400;
    (in_march_years * 365 + leap_days + day_of_year).checked_sub(DAYS_TO_1970)
}

/// The other way round: `civil_from_days`.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_1970;
    let (era, of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// From the first of March of the year 0.
const DAYS_TO_1970: u64 = 719_468;
const DAYS_IN_400_YEARS: u64 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        // As `date -u -d @N` has them.
        for (at, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_868_799, "2000-02-29 23:59:59 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_795_274_879, "2026-11-21 15:27:59 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(shown(at), text);
            assert_eq!(time(text), Ok(Time::At(at)));
        }
        for day in 0..200_000 {
            assert_eq!(time(&shown(day * DAY)), Ok(Time::At(day * DAY)));
        }
        assert!(shown(u64::MAX).ends_with(" UTC"));
    }

    #[test]
    fn the_forms_of_a_time() {
        for text in
            ["2026-11-21 15:27:00", "2026-11-21 15:27", "2026-11-21T15:27:00Z", "2026-11-21T15:27", "1795274820"]
        {
            assert_eq!(time(text), Ok(Time::At(1_795_274_820)), "{text}");
        }
        assert_eq!(time("2026-11-21"), Ok(Time::At(1_795_219_200)));
        assert_eq!(time("30"), Ok(Time::At(30)));
        let month = time("30d").unwrap();
        assert_eq!((month.ago(3_000_000), month.ahead(3_000_000)), (408_000, 5_592_000));
        assert_eq!(month.ago(1), 0);
    }

    #[test]
    fn nothing_else() {
        for text in [
            "",
            "yesterday",
            "-1",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "2026-01-32",
            "2026-1-1",
            "26-01-01",
            "1969-12-31",
            "0000-01-01",
            "99999-01-01",
            "2026-01-01 24:00",
            "2026-01-01 23:60",
            "2026-01-01 23:59:60",
            "2026-01-01 9:00",
            "2026-01-01 ",
            "2026-01-01 +1:00",
            "2026-01-01 15",
            "2026-01-01 15:27:59 CET",
            "99999999999999999999",
            "5w",
            "0d",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
