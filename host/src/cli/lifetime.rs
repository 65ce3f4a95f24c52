//! Spans of time on the command line: `3600`, `15m`, `12h`, `30d`.

/// The seconds in `SECONDS` or in a number with `s`, `m`, `h` or `d`; above 0.
///
/// # Errors
///
/// Says what was expected.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let expected = || format!("`{text}` is no span of time, expected seconds above 0, or a number with s, m, h or d");
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 60 * 60),
        Some((at, 'd')) => (&text[..at], 24 * 60 * 60),
        _ => (text, 1),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected());
    }
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| *seconds > 0).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_minutes_hours_and_days() {
        assert_eq!(["90", "90s", "15m", "12h", "30d"].map(seconds), [90, 90, 900, 43_200, 2_592_000].map(Ok));
    }

    #[test]
    fn nothing_else() {
        for text in
            ["", "0", "0d", "-1", "+1", "1.5h", "m", "5w", "1e3", "99999999999999999999", "999999999999999d", "５"]
        {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
