//! Base 62, with Djblets' digits. They are in the order of ASCII: texts of the same length compare as their numbers do.

use zeroize::Zeroizing;

/// The digits.
pub(super) const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many digits 256 bits take.
pub(super) const DIGITS_OF_256_BITS: usize = 43;

/// How many digits a checksum takes.
pub(super) const DIGITS_OF_CRC32: usize = 6;

/// The number that these bytes are, the most significant first, with leading zeros.
pub(super) fn encode(bytes: &[u8; 32]) -> Zeroizing<[u8; DIGITS_OF_256_BITS]> {
    let mut limbs = Zeroizing::new([0_u32; 8]);
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks().0) {
        *limb = u32::from_be_bytes(*bytes);
    }
    let mut digits = Zeroizing::new([b'0'; DIGITS_OF_256_BITS]);
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0;
        for limb in limbs.iter_mut() {
            let dividend = (u64::from(remainder) << 32) | u64::from(*limb);
            // A quotient by 62 of what is less than 62 * 2^32 has 32 bits.
            (*limb, remainder) = ((dividend / 62) as u32, (dividend % 62) as u32);
        }
        *digit = DIGITS[remainder as usize];
    }
    digits
}

/// The CRC-32 of these bytes, with leading zeros.
pub(super) fn crc32(bytes: &[u8]) -> [u8; DIGITS_OF_CRC32] {
    let mut rest = crc32fast::hash(bytes);
    let mut digits = [b'0'; DIGITS_OF_CRC32];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Whether all of these are digits.
pub(super) fn is_base62(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_base_62() {
        let number = |last: [u8; 2]| {
            let mut bytes = [0; 32];
            bytes[30..].copy_from_slice(&last);
            String::from_utf8(encode(&bytes).to_vec()).unwrap()
        };
        assert_eq!(number([0, 0]), "0".repeat(43));
        assert!(number([0, 61]).ends_with("00z") && number([0, 62]).ends_with("010"));
        assert!(number([0xff, 0xff]).ends_with("0H31"), "65535 = 17 * 62^2 + 3 * 62 + 1");
        // Python: int.from_bytes(range(32)) in base 62.
        let counted = std::array::from_fn(|index| index as u8);
        assert_eq!(*encode(&counted), *b"003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf");
    }

    #[test]
    fn checksums_are_crc_32() {
        // The check value of CRC-32/ISO-HDLC: 0xcbf43926.
        assert_eq!(crc32(b"123456789"), *b"3jZRME");
        assert_eq!(crc32(b""), *b"000000");
    }
}
