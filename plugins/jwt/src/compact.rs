//! The compact serialization (RFC 7515 §7.1): three parts in base64url, with full stops between them.
//!
//! base64url has several spellings of the same bytes (padding, unused bits, whitespace that some readers skip), which
//! would give one token several identities. Here a part has one spelling, the one of RFC 7515 §2.

use base64_simd::{AsOut, URL_SAFE_NO_PAD};
use memchr::memchr;

/// A token's header, as it is spelled, and the rest behind the first full stop.
pub(crate) fn split_header(token: &str) -> Option<(&str, &str)> {
    let stop = memchr(b'.', token.as_bytes())?;
    Some((&token[..stop], &token[stop + 1..]))
}

/// The payload and the signature of what stands behind the header's full stop, as they are spelled.
///
/// # Errors
///
/// When there are not two parts. How many there are instead is not counted: there may be 100,000.
pub(crate) fn split_rest(rest: &str) -> Result<(&str, &str), &'static str> {
    let stop = memchr(b'.', rest.as_bytes()).ok_or("token has two parts instead of three")?;
    let (payload, signature) = (&rest[..stop], &rest[stop + 1..]);
    match memchr(b'.', signature.as_bytes()) {
        Some(_) => Err("token has more than three parts"),
        None => Ok((payload, signature)),
    }
}

/// Decodes a part whose bytes are a text.
///
/// # Errors
///
/// What is wrong, to follow the name of the part.
pub(crate) fn decode_text(part: &str) -> Result<String, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(part).map_err(|_| SPELLING)?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8")
}

/// Decodes a signature into room on the stack.
///
/// # Errors
///
/// When it is not base64url in its one spelling; nothing is said of signatures that are too long for any key, but that.
pub(crate) fn decode_signature<'b, const ROOM: usize>(
    part: &str,
    room: &'b mut [u8; ROOM],
) -> Result<&'b [u8], &'static str> {
    // Four characters carry three bytes.
    if part.len() / 4 * 3 + part.len() % 4 * 3 / 4 > ROOM {
        return Err("signature is longer than any key's");
    }
    match URL_SAFE_NO_PAD.decode(part.as_bytes(), room.as_mut_slice().as_out()) {
        Ok(signature) => Ok(signature),
        Err(_) => Err("signature is not base64url in its one spelling"),
    }
}

/// Appends bytes in base64url.
pub(crate) fn encode_append(bytes: &[u8], token: &mut String) {
    URL_SAFE_NO_PAD.encode_append(bytes, token);
}

/// What a reader that is less strict might take a part for: characters that are no base64 are skipped, both alphabets
/// are read, unused bits are forgiven.
///
/// For recognizing tokens of ours, so that they can be rejected: a laxer handler must not get to accept them.
pub(crate) fn decode_leniently(part: &str) -> Vec<u8> {
    let alphabet = |byte: u8| match byte {
        b'+' => Some(b'-'),
        b'/' => Some(b'_'),
        b'-' | b'_' => Some(byte),
        _ => Some(byte).filter(u8::is_ascii_alphanumeric),
    };
    let mut characters: Vec<u8> = part.bytes().filter_map(alphabet).collect();
    // A single character left over carries no byte. Two carry one, three two: the bits beyond are set to zero.
    let used_bits = match characters.len() % 4 {
        1 => {
            characters.pop();
            6
        }
        2 => 2,
        3 => 4,
        _ => 6,
    };
    if let Some(last) = characters.last_mut() {
        let value = ALPHABET.iter().position(|character| character == last).unwrap_or_default();
        *last = ALPHABET[value >> (6 - used_bits) << (6 - used_bits)];
    }
    URL_SAFE_NO_PAD.decode_to_vec(characters).unwrap_or_default()
}

/// What is wrong with a part that has another spelling, to follow its name.
pub(crate) const SPELLING: &str = "is not base64url in its one spelling";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
