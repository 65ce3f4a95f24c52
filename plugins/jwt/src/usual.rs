//! Claims as nearly all tokens have them, read in one pass: a third of the time that the strict reader takes.
//!
//! What is read here the strict reader would read the same. Whatever is the least unusual (an escape, a blank, a
//! fraction, an object, a name twice) is left to that one, which also says what is wrong.

use std::borrow::Cow;

use crate::{
    claims::{Audience, Claims, Fresh, Kind},
    config::MAX_SECONDS,
    json::RESERVED,
};

/// Reads claims; `None` if they are unusual.
pub(crate) fn read<'a>(json: &'a str, id_claim: Option<&str>) -> Option<Claims<'a>> {
    let mut text = Text { json, at: 0 };
    let mut claims = Claims::default();
    let mut others = Others { names: [""; MAX_OTHERS], count: 0 };
    text.skip(b'{')?;
    loop {
        let name = text.string()?;
        text.skip(b':')?;
        match name {
            "sub" => put(&mut claims.subject, Cow::Borrowed(text.string()?))?,
            "iss" => put(&mut claims.issuer, Cow::Borrowed(text.string()?))?,
            "jti" => put(&mut claims.jti, Cow::Borrowed(text.string()?))?,
            "exp" => put(&mut claims.expires_at, text.seconds()?)?,
            "iat" => put(&mut claims.issued_at, text.seconds()?)?,
            "nbf" => put(&mut claims.not_before, text.seconds()?)?,
            "aud" if claims.audience == Audience::Missing => claims.audience = text.audience()?,
            "type" if claims.kind == Kind::Missing => claims.kind = Kind::named(text.string()?),
            "fresh" if claims.fresh == Fresh::Missing => claims.fresh = text.fresh()?,
            "aud" | "type" | "fresh" | "_r" => return None,
            name if Some(name) == id_claim => put(&mut claims.other_id, Cow::Borrowed(text.string()?))?,
            name => {
                claims.has_client_id |= name == "client_id";
                others.add(name)?;
                text.value()?;
            }
        }
        match text.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    claims.has_client_id |= id_claim == Some("client_id") && claims.other_id.is_some();
    (text.at == json.len()).then_some(claims)
}

/// Not twice.
fn put<T>(place: &mut Option<T>, value: T) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(value);
    Some(())
}

/// Names that are not known, to see that none is there twice.
struct Others<'a> {
    names: [&'a str; MAX_OTHERS],
    count: usize,
}

const MAX_OTHERS: usize = 8;

impl<'a> Others<'a> {
    fn add(&mut self, name: &'a str) -> Option<()> {
        if name.starts_with(RESERVED) || self.names[..self.count].contains(&name) {
            return None;
        }
        *self.names.get_mut(self.count)? = name;
        self.count += 1;
        Some(())
    }
}

/// A JSON text that is being read.
struct Text<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.json.as_bytes().get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.skip(b'"')?;
        let start = self.at;
        let end = start + end_of_string(&self.json.as_bytes()[start..])?;
        self.at = end + 1;
        // Both are at a quotation mark or right behind one, which are characters of one byte.
        self.json.get(start..end)
    }

    /// A time without a fraction.
    fn seconds(&mut self) -> Option<u64> {
        let start = self.at;
        let mut seconds = 0_u64;
        while let Some(digit) = self.json.as_bytes().get(self.at).filter(|byte| byte.is_ascii_digit()) {
            // At most 2^53 times ten fits.
            seconds = seconds * 10 + u64::from(digit - b'0');
            if seconds > MAX_SECONDS {
                return None;
            }
            self.at += 1;
        }
        let digits = self.at - start;
        let has_leading_zero = digits > 1 && self.json.as_bytes()[start] == b'0';
        // What follows tells whether that was all of it: a full stop or an `e` is neither a comma nor a brace.
        (digits > 0 && !has_leading_zero).then_some(seconds)
    }

    fn audience(&mut self) -> Option<Audience<'a>> {
        if self.json.as_bytes().get(self.at) != Some(&b'[') {
            return self.string().map(|one| Audience::One(Cow::Borrowed(one)));
        }
        self.at += 1;
        let mut several = Vec::new();
        loop {
            several.push(Cow::Borrowed(self.string()?));
            match self.next()? {
                b',' => {}
                b']' => return Some(Audience::Several(several)),
                _ => return None,
            }
        }
    }

    fn fresh(&mut self) -> Option<Fresh> {
        match self.json.as_bytes().get(self.at)? {
            b't' => self.word("true").map(|()| Fresh::Yes),
            b'f' => self.word("false").map(|()| Fresh::No),
            _ => self.seconds().map(Fresh::Until),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.json.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// A string, a number, `true`, `false` or `null`, to be forgotten.
    fn value(&mut self) -> Option<()> {
        match self.json.as_bytes().get(self.at)? {
            b'"' => self.string().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.seconds().map(drop),
        }
    }
}

/// Where a string without escapes ends: the quotation mark before which there is neither a backslash nor a control
/// character. Eight bytes at a time.
fn end_of_string(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            let at = index * 8 + found.trailing_zeros() as usize / 8;
            return (bytes[at] == b'"').then_some(at);
        }
    }
    let at = words.len() * 8;
    let rest = &bytes[at..];
    let found = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
    (rest[found] == b'"').then_some(at + found)
}

/// The high bit of each byte that is a quotation mark, a backslash or a control character. Bytes above one that is may
/// be marked, too, but the lowest mark is right.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64)) | control) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(json: &str) -> (Option<Claims<'_>>, Result<Claims<'_>, &'static str>) {
        (read(json, None), Claims::read_strictly(json, None))
    }

    const WHOLE: &str = concat!(
        r#"{"sub":"user-1234567890","iss":"https://issuer.example.com","aud":["a","https://b.example"],"exp":1900000000,"#,
        r#""iat":1700000000,"nbf":0,"jti":"Yx1Jw8hG2k3mN4pQ5rS6tA","type":"access","fresh":1900000000,"name":"Zoë 😀","#,
        r#""admin":true,"groups":null,"level":7,"client_id":"c"}"#
    );

    #[test]
    fn what_is_usual_is_read_as_the_strict_reader_reads_it() {
        for json in [
            WHOLE,
            r#"{"sub":"a"}"#,
            r#"{"sub":""}"#,
            r#"{"exp":9007199254740992}"#,
            r#"{"fresh":true}"#,
            r#"{"fresh":false}"#,
            r#"{"aud":"x","type":"refresh"}"#,
            r#"{"type":"other","aud":[""]}"#,
        ] {
            let (usual, strict) = both(json);
            assert_eq!(usual, strict.ok(), "{json}");
            assert!(usual.is_some(), "{json}");
        }
        let other = r#"{"sub":"a","user":"b"}"#;
        assert_eq!(read(other, Some("user")), Claims::read_strictly(other, Some("user")).ok());
    }

    #[test]
    fn with_any_byte_changed_it_says_the_same_or_nothing() {
        let mut read_here = 0;
        for at in 0..WHOLE.len() {
            for byte in (0..=0x7f_u8).chain([0xc3, 0xff]) {
                let mut bytes = WHOLE.as_bytes().to_vec();
                bytes[at] = byte;
                let Ok(json) = std::str::from_utf8(&bytes) else { continue };
                let (usual, strict) = both(json);
                if let Some(usual) = usual {
                    assert_eq!(Ok(usual), strict, "{json}");
                    read_here += 1;
                }
            }
        }
        assert!(read_here > 1_000, "{read_here}");
    }

    #[test]
    fn with_anything_cut_out_or_put_in_it_says_the_same_or_nothing() {
        let pieces =
            ["", "\"", "{", "}", "[", "]", ",", ":", "0", "1", ".", "e", "-", " ", "\\", "\"a\":1,", "\0", "é"];
        for from in 0..=WHOLE.len() {
            for length in 0..12.min(WHOLE.len() - from + 1) {
                let (Some(before), Some(after)) = (WHOLE.get(..from), WHOLE.get(from + length..)) else { continue };
                for piece in pieces {
                    let json = format!("{before}{piece}{after}");
                    let (usual, strict) = both(&json);
                    assert!(usual.is_none() || usual == strict.ok(), "{json}");
                }
            }
        }
    }

    #[test]
    fn every_end_of_a_string_is_found() {
        for length in 0..40 {
            for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                let mut bytes = vec![b'x'; length];
                bytes.push(special);
                bytes.extend([0x7f, 0x80, 0xff, b'!', b'#', b'[', b']', b'"', b'\\', 0].repeat(2));
                assert_eq!(end_of_string(&bytes), (special == b'"').then_some(length), "{special} after {length}");
            }
        }
        let harmless: Vec<u8> = (0x20..=0xff).filter(|byte| *byte != b'"' && *byte != b'\\').collect();
        assert_eq!(end_of_string(&harmless), None);
        let ended = [harmless.as_slice(), b"\""].concat();
        assert_eq!(end_of_string(&ended), Some(harmless.len()));
    }
}
