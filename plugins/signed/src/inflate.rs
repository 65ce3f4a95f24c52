//! Bounded inflation of a compressed payload.
//!
//! itsdangerous compresses whatever gets shorter by it, and inflates without a bound. Only someone who has the secret
//! can sign a zlib bomb, but a secret that leaked should cost a rotation, not the host's memory.

use std::cell::RefCell;

use zlib_rs::{Inflate, InflateFlush, Status};

/// How large a payload may get, in bytes.
///
/// The host passes on tokens of 8 KiB at most, which is 6 KiB compressed. Restrictions (a few words and names, over and
/// over) shrink to a tenth in the best case: no honest payload comes near 64 KiB, while a bomb would inflate to 6 MiB.
pub(crate) const MAX_INFLATED_BYTES: usize = 64 * 1024;

/// Inflates one zlib stream into `output`, whose former content is lost. The stream has to end where `compressed` ends:
/// bytes behind it would be content that nobody reads but everybody signs.
///
/// # Errors
///
/// What is wrong with the stream, in words.
pub(crate) fn inflate(compressed: &[u8], output: &mut Vec<u8>) -> Result<(), &'static str> {
    STREAM.with_borrow_mut(|stream| {
        stream.reset(true);
        run(stream, compressed, output)
    })
}

thread_local! {
    /// Its 50 KiB are kept for the next compressed token: to give such a piece back to the system and take it again
    /// each time may cost more than the inflation. What stays in it is a payload, which is no secret.
    static STREAM: RefCell<Inflate> = RefCell::new(Inflate::new(true, MAX_WINDOW_BITS));
}

fn run(stream: &mut Inflate, compressed: &[u8], output: &mut Vec<u8>) -> Result<(), &'static str> {
    output.clear();
    loop {
        let consumed = position(stream.total_in());
        let produced = position(stream.total_out());
        if produced == output.len() {
            if produced == MAX_INFLATED_BYTES {
                return Err("payload inflates to more than 64 KiB");
            }
            output.resize((produced * GROWTH).clamp(FIRST_OUTPUT_BYTES, MAX_INFLATED_BYTES), 0);
        }
        let status = stream
            .decompress(&compressed[consumed..], &mut output[produced..], InflateFlush::Finish)
            .map_err(|_| "compressed payload is not a zlib stream")?;
        let produced = position(stream.total_out());
        if status == Status::StreamEnd {
            output.truncate(produced);
            break;
        }
        if produced < output.len() {
            return Err("compressed payload is a truncated zlib stream");
        }
    }
    if position(stream.total_in()) < compressed.len() {
        return Err("compressed payload has bytes after the zlib stream");
    }
    Ok(())
}

/// A count of bytes as an index: both are lengths of slices in memory, so nothing is cut off.
fn position(bytes: u64) -> usize {
    bytes as usize
}

/// zlib's largest window, and Python's default: 32 KiB.
const MAX_WINDOW_BITS: u8 = 15;
/// Enough for nearly all payloads, and cheap to fill with zeros.
const FIRST_OUTPUT_BYTES: usize = 1024;
/// From the first size to the bound in two steps.
const GROWTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(bytes: &[u8]) -> Vec<u8> {
        let mut output = vec![0; zlib_rs::compress_bound(bytes.len())];
        let (compressed, code) = zlib_rs::compress_slice(&mut output, bytes, zlib_rs::DeflateConfig::new(6));
        assert_eq!(code, zlib_rs::ReturnCode::Ok);
        compressed.to_vec()
    }

    fn inflated(compressed: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut output = b"something old".to_vec();
        inflate(compressed, &mut output).map(|()| output)
    }

    #[test]
    fn every_size_up_to_the_bound_comes_back() {
        let noise: Vec<u8> =
            (0..MAX_INFLATED_BYTES as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for length in [0, 1, 37, 1023, 1024, 1025, 8191, 8192, 8193, 65_535, MAX_INFLATED_BYTES] {
            for source in [&noise[..length], &vec![b' '; length][..]] {
                assert_eq!(inflated(&compress(source)).as_deref(), Ok(source), "{length} bytes");
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        for length in [MAX_INFLATED_BYTES + 1, 10 * 1024 * 1024] {
            let bomb = compress(&vec![b' '; length]);
            let mut output = Vec::new();
            assert_eq!(inflate(&bomb, &mut output), Err("payload inflates to more than 64 KiB"));
            assert!(output.capacity() <= MAX_INFLATED_BYTES);
        }
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_refused_or_harmless() {
        let text = br#"{"a":"root","t":1700000000,"_r":{"a":["vi","vi","vi","vi","vi"]}}"#;
        let stream = compress(text);
        for length in 0..stream.len() {
            assert_eq!(inflated(&stream[..length]), Err("compressed payload is a truncated zlib stream"), "{length}");
        }
        for index in 0..stream.len() {
            for flip in 1..=u8::MAX {
                let mut damaged = stream.clone();
                damaged[index] ^= flip;
                // The header has a level that no inflater reads; everything else is under the checksum.
                assert!(inflated(&damaged).is_err() || inflated(&damaged).as_deref() == Ok(text), "{index} ^ {flip}");
            }
        }
    }

    #[test]
    fn what_is_no_zlib_stream_is_refused() {
        for bytes in
            [&b"{\"a\":\"root\"}"[..], b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"\x78\xbb\x00\x00\x00\x01", &[0xff; 64]]
        {
            assert_eq!(inflated(bytes), Err("compressed payload is not a zlib stream"), "{bytes:?}");
        }
    }

    #[test]
    fn bytes_after_the_stream_are_refused() {
        let stream = compress(b"{}");
        for tail in [&b"\0"[..], b"x", &stream] {
            let bytes = [&stream, tail].concat();
            assert_eq!(inflated(&bytes), Err("compressed payload has bytes after the zlib stream"));
        }
    }
}
