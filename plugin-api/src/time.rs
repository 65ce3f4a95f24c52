//! [`utc_text`]: a time as people read it.

/// A time in Unix seconds as `2026-11-21 15:27:59 UTC`, by the Gregorian calendar.
///
/// ```
/// assert_eq!(token_plugin_api::utc_text(951_782_400), "2000-02-29 00:00:00 UTC");
/// ```
pub fn utc_text(unix_seconds: u64) -> String {
    const DAY: u64 = 24 * 60 * 60;
    // Counted from 1 March of the year 0, so that leap days come last, in years, and in spans of 400 years.
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let (days, second) = (unix_seconds / DAY + DAYS_TO_1970, unix_seconds % DAY);
    let (spans, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = 400 * spans + year + next_year;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (time, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_868_799, "2000-02-29 23:59:59 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (4_107_456_000, "2100-02-28 00:00:00 UTC"),
            (253_402_300_800, "10000-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc_text(time), text);
        }
        assert!(utc_text(u64::MAX).ends_with("UTC"));
    }
}
