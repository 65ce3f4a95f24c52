//! [`Reply`]: what a server answers, as it is read.

use std::fmt;

use crate::Value;

/// What a server answers.
#[derive(PartialEq, Eq)]
pub(crate) enum Reply {
    Value(Value),
    /// A value of so many bytes, which were not read.
    Oversized(usize),
    Missing,
    Done,
    NotStored,
    Changed,
    Version(String),
    TooLarge,
    OutOfMemory,
}

/// An answer with the number of its request, where the server repeats it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) number: Option<u64>,
}

/// What there is at the beginning of what was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// An answer. It goes on for so many bytes, which need not be there yet when it is oversized.
    Answer(Answer, usize),
    /// A part of an answer, which has so many bytes at least.
    Part(usize),
}

/// Why it cannot be an answer. Of what was read, it quotes what a server says of an error and nothing else.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unexpected(pub(crate) String);

/// Reads the answer at the beginning.
pub(crate) fn read(bytes: &[u8], max_value_bytes: usize) -> Result<Received, Unexpected> {
    let Some(line) = line(bytes)? else { return Ok(Received::Part(bytes.len() + 1)) };
    let after_line = line.len() + 2;
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let reply = match words.next().unwrap_or_default() {
        b"VA" => {
            let length: usize = words.next().and_then(number).ok_or_else(|| unexpected("a value without a length"))?;
            let mut value = Value { data: Vec::new(), flags: 0, cas: 0 };
            let mut repeated = None;
            for word in words {
                let valid = match word.split_at(1) {
                    (b"f", digits) => number(digits).map(|flags| value.flags = flags),
                    (b"c", digits) => number(digits).map(|cas| value.cas = cas),
                    (b"O", digits) => number(digits).map(|number| repeated = Some(number)),
                    _ => Some(()),
                };
                valid.ok_or_else(|| unexpected("a value with a number that is none"))?;
            }
            let end = length.checked_add(after_line + 2).ok_or_else(|| unexpected("a value that is too long"))?;
            if length > max_value_bytes {
                return Ok(Received::Answer(Answer { reply: Reply::Oversized(length), number: repeated }, end));
            }
            let Some(data) = bytes.get(after_line..end) else { return Ok(Received::Part(end)) };
            let data =
                data.strip_suffix(b"\r\n").ok_or_else(|| unexpected("a value that does not end where it should"))?;
            let reply = Reply::Value(Value { data: data.to_vec(), ..value });
            return Ok(Received::Answer(Answer { reply, number: repeated }, end));
        }
        b"HD" => Reply::Done,
        b"EN" | b"NF" => Reply::Missing,
        b"NS" => Reply::NotStored,
        b"EX" => Reply::Changed,
        b"VERSION" => Reply::Version(String::from_utf8_lossy(line.get(8..).unwrap_or_default()).trim().to_owned()),
        _ if line == b"SERVER_ERROR object too large for cache" => Reply::TooLarge,
        _ if line.starts_with(b"SERVER_ERROR out of memory") => Reply::OutOfMemory,
        _ => return Err(refused(line)),
    };
    let number = words.find_map(|word| word.strip_prefix(b"O")).and_then(number);
    Ok(Received::Answer(Answer { reply, number }, after_line))
}

/// The first line, when it is there.
pub(crate) fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Unexpected> {
    /// No answer has as many bytes in its line.
    const MAX_LINE_BYTES: usize = 2048;
    let looked_at = bytes.get(..MAX_LINE_BYTES).unwrap_or(bytes);
    match looked_at.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some(bytes[..end].strip_suffix(b"\r").ok_or_else(|| unexpected("a line without its end"))?)),
        None if looked_at.len() == MAX_LINE_BYTES => Err(unexpected("a line without its end")),
        None => Ok(None),
    }
}

/// For a line that is no answer, or not the one that was expected.
pub(crate) fn refused(line: &[u8]) -> Unexpected {
    const MAX_QUOTED_BYTES: usize = 80;
    let says = [&b"ERROR"[..], b"CLIENT_ERROR ", b"SERVER_ERROR "].iter().any(|word| line.starts_with(word));
    let quoted = line.get(..MAX_QUOTED_BYTES).unwrap_or(line);
    match std::str::from_utf8(quoted) {
        Ok(text) if says && !text.contains(char::is_control) => Unexpected(format!("the server says `{text}`")),
        _ => unexpected("what is no answer"),
    }
}

fn unexpected(what: &str) -> Unexpected {
    Unexpected(format!("the server sent {what}"))
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    // Without the sign that `parse` lets pass.
    let is_number = digits.first().is_some_and(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Oversized(bytes) => write!(f, "Oversized({bytes})"),
            Self::Missing => f.write_str("Missing"),
            Self::Done => f.write_str("Done"),
            Self::NotStored => f.write_str("NotStored"),
            Self::Changed => f.write_str("Changed"),
            Self::Version(version) => write!(f, "Version({version})"),
            Self::TooLarge => f.write_str("TooLarge"),
            Self::OutOfMemory => f.write_str("OutOfMemory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(reply: Reply, number: Option<u64>, length: usize) -> Result<Received, Unexpected> {
        Ok(Received::Answer(Answer { reply, number }, length))
    }

    #[test]
    fn answers_are_read_wherever_they_are_cut() {
        let value = |data: &[u8], flags, cas| Reply::Value(Value { data: data.to_vec(), flags, cas });
        for (text, reply, number) in [
            (&b"VA 1 f0 c37 O7\r\na\r\n"[..], value(b"a", 0, 37), Some(7)),
            (b"VA 0 f4294967295 c18446744073709551615 O0\r\n\r\n", value(b"", u32::MAX, u64::MAX), Some(0)),
            (b"VA 4 c1  f2 t-1 W \r\n\r\nEN\r\n", value(b"\r\nEN", 2, 1), None),
            (b"HD O18446744073709551615\r\n", Reply::Done, Some(u64::MAX)),
            (b"HD \r\n", Reply::Done, None),
            (b"EN\r\n", Reply::Missing, None),
            (b"EN O3\r\n", Reply::Missing, Some(3)),
            (b"NF O3\r\n", Reply::Missing, Some(3)),
            (b"NS O3\r\n", Reply::NotStored, Some(3)),
            (b"EX O3\r\n", Reply::Changed, Some(3)),
            (b"VERSION 1.6.18\r\n", Reply::Version("1.6.18".to_owned()), None),
            (b"SERVER_ERROR object too large for cache\r\n", Reply::TooLarge, None),
            (b"SERVER_ERROR out of memory storing object\r\n", Reply::OutOfMemory, None),
        ] {
            let length = text.len();
            let mut more = text.to_vec();
            more.extend_from_slice(b"VA 1");
            assert_eq!(read(&more, 4), answer(reply, number, length));
            for cut in 0..length {
                let Ok(Received::Part(needed)) = read(&text[..cut], 4) else { panic!("{cut} bytes of {text:?}") };
                assert!((cut + 1..=length).contains(&needed), "{cut} bytes of {text:?}");
            }
        }
    }

    #[test]
    fn a_value_that_is_too_large_is_known_by_its_first_line() {
        assert_eq!(read(b"VA 5 f0 c1 O7\r\n", 4), answer(Reply::Oversized(5), Some(7), 22));
    }

    #[test]
    fn what_is_no_answer_is_refused_and_not_quoted() {
        let long = vec![b'x'; 3000];
        for text in [
            &b"secret\r\n"[..],
            b"\r\n",
            b"HD\n",
            b"HDX\r\n",
            b"VA\r\n",
            b"VA -1\r\n",
            b"VA +1\r\n",
            b"VA x\r\n",
            b"VA 18446744073709551615\r\n",
            b"VA 18446744073709551616\r\n",
            b"VA 1 f-1\r\na\r\n",
            b"VA 1 f4294967296\r\na\r\n",
            b"VA 1 f0 cx\r\na\r\n",
            b"VA 1 f0 c1 Ox\r\na\r\n",
            b"VA 1 f0 c1 O1\r\nsecret\r\n",
            b"STORED\r\n",
            b"END\r\n",
            &long,
        ] {
            let Unexpected(what) = read(text, 4).unwrap_err();
            assert!(what.starts_with("the server sent a ") || what == "the server sent what is no answer", "{what}");
        }
        let Unexpected(what) = read(b"CLIENT_ERROR bad data chunk\r\n", 4).unwrap_err();
        assert_eq!(what, "the server says `CLIENT_ERROR bad data chunk`");
    }
}
