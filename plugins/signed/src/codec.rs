//! Datasette's signed token as a whole: `dstok_`, the payload in base64url, a full stop, the signature in base64url.
//!
//! itsdangerous takes several spellings of one token (padding, spaces, unused bits in the last character), which would
//! give one token several identities. Here a token has one spelling, the one that itsdangerous writes.

use base64_simd::{AsOut, URL_SAFE_NO_PAD};

use crate::inflate::inflate;
use crate::payload::Payload;
use crate::signature::{Keys, SIGNATURE_BYTES};

/// What every signed token begins with.
pub(crate) const PREFIX: &str = "dstok_";

/// Why a token with our prefix is refused. The host must not tell the bearer more than this, and may tell this much:
/// no text quotes the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// None of our keys made this signature. Of the payload nothing is known then, it has not even been decoded.
    Signature,
    /// The form is wrong; of the spelling, or, below a good signature, of the payload.
    Malformed(&'static str),
}

/// Makes a token. The payload is never compressed: to try costs 7 us, and itsdangerous reads it either way.
pub(crate) fn encode(keys: &Keys, payload: &Payload<'_>) -> String {
    let json = payload.to_json();
    let mut token = String::with_capacity(PREFIX.len() + json.len().div_ceil(3) * 4 + 1 + SIGNATURE_CHARACTERS);
    token.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_append(json, &mut token);
    let signature = keys.sign(&token.as_bytes()[PREFIX.len()..]);
    token.push(SEPARATOR);
    URL_SAFE_NO_PAD.encode_append(signature, &mut token);
    token
}

/// Reads a token, first its signature, then the rest. What comes back borrows from `scratch`.
///
/// # Errors
///
/// When it is not a token that one of `keys` has signed, or not in the one form that we take.
pub(crate) fn decode<'b>(keys: &Keys, token: &str, scratch: &'b mut Scratch) -> Result<Payload<'b>, Invalid> {
    let signed =
        token.as_bytes().strip_prefix(PREFIX.as_bytes()).ok_or(Invalid::Malformed("token lacks its prefix"))?;
    let (message, signature) = signed
        .split_last_chunk::<SIGNATURE_CHARACTERS>()
        .and_then(|(rest, signature)| Some((rest.strip_suffix(&[SEPARATOR as u8])?, signature)))
        .ok_or(Invalid::Malformed("token does not end in a full stop and a signature of 27 characters"))?;
    if !keys.verify(message, &decode_signature(signature)?) {
        return Err(Invalid::Signature);
    }
    Payload::from_json(scratch.open(message)?).map_err(Invalid::Malformed)
}

/// Room for a payload while it is read. Lives on the caller's stack: typical payloads need no allocation.
pub(crate) struct Scratch {
    on_stack: [u8; STACK_BYTES],
    on_heap: Vec<u8>,
    inflated: Vec<u8>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { on_stack: [0; STACK_BYTES], on_heap: Vec::new(), inflated: Vec::new() }
    }

    /// The JSON text of a payload, from base64url, and from zlib if a full stop announces it.
    fn open(&mut self, message: &[u8]) -> Result<&[u8], Invalid> {
        let (compressed, text) = match message.strip_prefix(&[SEPARATOR as u8]) {
            Some(text) => (true, text),
            None => (false, message),
        };
        let room = URL_SAFE_NO_PAD.estimated_decoded_length(text.len());
        let buffer = if room <= STACK_BYTES {
            &mut self.on_stack[..]
        } else {
            self.on_heap.resize(room, 0);
            &mut self.on_heap[..]
        };
        let length = URL_SAFE_NO_PAD
            .decode(text, buffer.as_out())
            .map_err(|_| Invalid::Malformed("payload is not base64url in its one spelling"))?
            .len();
        if !compressed {
            return Ok(&buffer[..length]);
        }
        inflate(&buffer[..length], &mut self.inflated).map_err(Invalid::Malformed)?;
        Ok(&self.inflated)
    }
}

fn decode_signature(text: &[u8; SIGNATURE_CHARACTERS]) -> Result<[u8; SIGNATURE_BYTES], Invalid> {
    let mut signature = [0; SIGNATURE_BYTES];
    match URL_SAFE_NO_PAD.decode(text, signature.as_mut_slice().as_out()) {
        Ok(decoded) if decoded.len() == SIGNATURE_BYTES => Ok(signature),
        _ => Err(Invalid::Malformed("signature is not base64url in its one spelling")),
    }
}

const SEPARATOR: char = '.';
/// 20 bytes in base64 without padding.
const SIGNATURE_CHARACTERS: usize = 27;
/// Holds the payload of a token of some 700 characters; filling it with zeros costs 5 ns.
const STACK_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    // Made by itsdangerous 2.2: "dstok_" + URLSafeSerializer(SECRET, "token").dumps(payload)
    const SECRET: &str = "a fixed secret for tests";
    const ROOT: &str = "dstok_eyJhIjoicm9vdCIsInQiOjE3MDAwMDAwMDAsImQiOjM2MDB9.6rpguFU-t2Ppg9W9qsX1Y8pTzvk";
    const FOR_EVER: &str = "dstok_eyJhIjoicm9vdCIsInQiOjE3MDAwMDAwMDB9.4S9r2UenLKsg0VWkofkclwilOMQ";
    const OLD_SECRET: &str = "dstok_eyJhIjoicm9vdCIsInQiOjE3MDAwMDAwMDB9.hWi2hKwiBOz9FrO1JpJQQfu1IZU";
    const UNICODE: &str = "dstok_eyJhIjoiWm_DqyDwn5iAIiwidCI6MTcwMDAwMDAwMH0.bL-8Fsq7Io0eVJCjypTNx0YYThM";
    const QUOTES: &str = "dstok_eyJhIjoiYVwiYlxcYy9cblx0XHUwMDAxfyIsInQiOjE3MDAwMDAwMDB9.M4Ovqpeej-6Z8nQtU2F9Dn8Q48Y";
    const RESTRICTED: &str = concat!(
        "dstok_eyJhIjoicm9vdCIsInQiOjE3MDAwMDAwMDAsImQiOjYwLCJfciI6eyJhIjpbInZpIl19fQ",
        ".XTwhYZQu8KSw1hyezNB9nMMsd-c"
    );
    const NOTHING_ALLOWED: &str = "dstok_eyJhIjoicm9vdCIsInQiOjE3MDAwMDAwMDAsIl9yIjp7fX0.xL-DpMCfUVr6EtCinys-M8DLhO8";
    const COMPRESSED: &str = concat!(
        "dstok_.eJxdi0EKgCAQRe_y1y6KoMCrREQ0Rm4cGMUW0t3TiED_anjzXsIGDWEOUAjQ_dR9UyDoYSzHKtCpiDOizV4kLO87gZ0p2ErG",
        "JAWHi1tyiqmtW0H-OuGw4kMTebOzo7rKewBLhjHp.HGjOk4omgXqTdqto-aIjGXN2clg"
    );
    const COMPRESSED_RESTRICTIONS: &str = concat!(
        r#"{"a":["vi","vd"],"d":{"one":["ir","dr"],"two":["ir","dr"],"three":["ir","dr"]},"#,
        r#""r":{"one":{"first":["ir","dr"],"second":["ir","dr"]}}}"#
    );

    fn keys() -> Keys {
        Keys::new([SECRET])
    }

    fn payload(actor_id: &str) -> Payload<'_> {
        Payload { actor_id: Cow::Borrowed(actor_id), created: 1_700_000_000, duration: None, restrictions: None }
    }

    /// Why a token is refused; nothing when it is not.
    fn refusal(token: &str) -> Option<Invalid> {
        decode(&keys(), token, &mut Scratch::new()).err()
    }

    /// A token with a good signature on whatever stands before it.
    fn signed(message: &str) -> String {
        format!("{PREFIX}{message}.{}", URL_SAFE_NO_PAD.encode(keys().sign(message.as_bytes())))
    }

    fn compressed(json: &[u8]) -> Vec<u8> {
        let mut output = vec![0; zlib_rs::compress_bound(json.len())];
        zlib_rs::compress_slice(&mut output, json, zlib_rs::DeflateConfig::new(6)).0.to_vec()
    }

    #[test]
    fn writes_the_very_tokens_of_itsdangerous_and_reads_them() {
        let restricted = Payload { duration: Some(60), restrictions: Some(r#"{"a":["vi"]}"#), ..payload("root") };
        for (token, payload) in [
            (ROOT, Payload { duration: Some(3600), ..payload("root") }),
            (FOR_EVER, payload("root")),
            (UNICODE, payload("Zoë 😀")),
            (QUOTES, payload("a\"b\\c/\n\t\u{1}\u{7f}")),
            (RESTRICTED, restricted),
            (NOTHING_ALLOWED, Payload { restrictions: Some("{}"), ..payload("root") }),
        ] {
            assert_eq!(encode(&keys(), &payload), token);
            assert_eq!(decode(&keys(), token, &mut Scratch::new()), Ok(payload));
        }
    }

    #[test]
    fn reads_what_itsdangerous_compressed() {
        let restrictions = Some(COMPRESSED_RESTRICTIONS);
        let expected = Payload { duration: Some(3600), restrictions, ..payload("root") };
        assert_eq!(decode(&keys(), COMPRESSED, &mut Scratch::new()), Ok(expected));
    }

    #[test]
    fn large_payloads_need_the_heap_and_nothing_else() {
        let noise: String =
            (0..4000_u32).map(|index| char::from(b' ' + (index * index % 7 + index % 83) as u8)).collect();
        for length in (0..noise.len()).step_by(97) {
            let payload = payload(&noise[..length]);
            let token = encode(&keys(), &payload);
            assert_eq!(decode(&keys(), &token, &mut Scratch::new()), Ok(payload.clone()));
            let token = signed(&format!(".{}", URL_SAFE_NO_PAD.encode(compressed(&payload.to_json()))));
            assert_eq!(decode(&keys(), &token, &mut Scratch::new()), Ok(payload));
        }
    }

    #[test]
    fn scratch_can_be_used_again() {
        let mut scratch = Scratch::new();
        for token in [COMPRESSED, ROOT, COMPRESSED, FOR_EVER] {
            assert!(decode(&keys(), token, &mut scratch).is_ok());
        }
    }

    #[test]
    fn rotation() {
        let rotated = Keys::new([SECRET, "middle", "old secret"]);
        assert_eq!(encode(&rotated, &payload("root")), FOR_EVER);
        for token in [FOR_EVER, OLD_SECRET] {
            assert_eq!(decode(&rotated, token, &mut Scratch::new()), Ok(payload("root")));
        }
        assert_eq!(refusal(OLD_SECRET), Some(Invalid::Signature));
    }

    #[test]
    fn no_character_can_be_changed() {
        for token in [ROOT, COMPRESSED, QUOTES] {
            for index in 0..token.len() {
                for character in (0..128).map(char::from).chain(['é', '😀']) {
                    if !token[index..].starts_with(character) {
                        let changed = format!("{}{character}{}", &token[..index], &token[index + 1..]);
                        assert!(refusal(&changed).is_some(), "{character:?} at {index} of {token}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_can_be_cut_off_or_put_in() {
        for token in [ROOT, COMPRESSED] {
            for index in 0..token.len() {
                assert!(refusal(&token[..index]).is_some(), "the first {index} of {token}");
                assert!(refusal(&token[index + 1..]).is_some(), "{token} after {index}");
                let missing = format!("{}{}", &token[..index], &token[index + 1..]);
                assert!(refusal(&missing).is_some(), "{token} without {index}");
                for character in [' ', '\n', '\0', '=', '.', 'A', '+', '/', 'é'] {
                    let longer = format!("{}{character}{}", &token[..index], &token[index..]);
                    assert!(refusal(&longer).is_some(), "{character:?} before {index} of {token}");
                    assert!(refusal(&format!("{token}{character}")).is_some(), "{character:?} after {token}");
                }
            }
        }
    }

    #[test]
    fn a_signature_has_one_spelling() {
        // The last of 27 characters carries four bits of the signature and two of nothing, which must be zero.
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (token, last) = ROOT.split_at(ROOT.len() - 1);
        let value = alphabet.iter().position(|character| last.as_bytes() == [*character]).unwrap_or_default();
        assert_eq!(value % 4, 0);
        for unused in 1..4 {
            let other = format!("{token}{}", char::from(alphabet[value + unused]));
            assert_eq!(refusal(&other), Some(Invalid::Malformed("signature is not base64url in its one spelling")));
        }
        let form = Invalid::Malformed("token does not end in a full stop and a signature of 27 characters");
        assert_eq!(refusal(&format!("{ROOT}=")), Some(form));
        assert_eq!(refusal(&ROOT.replace('.', "..")), Some(Invalid::Signature));
        for token in ["", "root", "Dstok_x", " dstok_x"] {
            assert_eq!(refusal(token), Some(Invalid::Malformed("token lacks its prefix")));
        }
        for token in ["dstok_", "dstok_.", "dstok_x", "dstok_x.y", "dstok_..........................."] {
            assert_eq!(refusal(token), Some(form), "{token}");
        }
    }

    #[test]
    fn a_payload_has_one_spelling() {
        let spelling = Some(Invalid::Malformed("payload is not base64url in its one spelling"));
        let text = "eyJhIjoicm9vdCIsInQiOjE3MDAwMDAwMDAsIl9yIjp7fX0"; // ends in a character with two unused bits
        assert_eq!(refusal(&signed(text)), None);
        for other in [
            "eyJhIjoicm9vdCIsInQiOjE3MDAwMDAwMDAsIl9yIjp7fX1".to_owned(),
            "eyJhIjoicm9vdCIsInQiOjE3MDAwMDAwMDAsIl9yIjp7fX".to_owned(),
            format!("{text}="),
            format!("{text}AA"),
            format!(" {text}"),
            format!("{text}\n"),
            format!("{text}\0"),
            text.replace('s', "+"),
            text.replace('s', "/"),
            format!("{}.{}", &text[..8], &text[8..]),
            "é".to_owned(),
        ] {
            assert_eq!(refusal(&signed(&other)), spelling, "{other}");
        }
    }

    #[test]
    fn what_is_wrong_below_a_good_signature_is_said() {
        let plain = |bytes: &[u8]| refusal(&signed(&URL_SAFE_NO_PAD.encode(bytes)));
        let zipped = |bytes: &[u8]| refusal(&signed(&format!(".{}", URL_SAFE_NO_PAD.encode(bytes))));
        let malformed = |message| Some(Invalid::Malformed(message));
        assert_eq!(plain(b""), malformed("payload is not JSON, or nested too deeply"));
        assert_eq!(plain(br#"["root"]"#), malformed("payload is not a JSON object"));
        assert_eq!(plain(br#"{"t":1700000000}"#), malformed(r#"payload has no "a""#));
        assert_eq!(plain(br#"{"a":"root","t":1,"_r":null}"#), malformed(r#""_r" is not an object"#));
        assert_eq!(plain(&compressed(br#"{"a":"root","t":1}"#)), malformed("payload is not UTF-8"));

        assert_eq!(zipped(&compressed(br#"{"a":"root","t":1}"#)), None);
        assert_eq!(zipped(br#"{"a":"root","t":1}"#), malformed("compressed payload is not a zlib stream"));
        let bomb = compressed(format!(r#"{{"a":"root","t":1,"x":"{}"}}"#, " ".repeat(1 << 20)).as_bytes());
        assert_eq!(zipped(&bomb), malformed("payload inflates to more than 64 KiB"));
        let deep = compressed(format!(r#"{{"a":"root","t":1,"_r":{}1"#, "{\"a\":".repeat(10_000)).as_bytes());
        assert_eq!(zipped(&deep), malformed("payload is not JSON, or nested too deeply"));
    }

    #[test]
    fn the_signature_comes_first() {
        for message in ["not base64url!", "", ".", ".eJxd", "e30"] {
            let forged = format!("{PREFIX}{message}.{}", "A".repeat(SIGNATURE_CHARACTERS));
            assert_eq!(refusal(&forged), Some(Invalid::Signature), "{message}");
        }
    }
}
