//! [`Expiry`]: when a value is gone by itself.

/// When a value is gone by itself. Any value may be gone earlier, when memcached needs the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// Never.
    Never,
    /// At this time, in seconds since 1970; when that is over, at once. What lies behind January 2038 is then:
    /// memcached's clock has 32 bits, and takes what is later for the past.
    At(u64),
}

impl Expiry {
    /// As it is sent.
    pub(crate) fn seconds(self) -> i32 {
        /// Up to here memcached counts from now on: 30 days.
        const RELATIVE: u64 = 60 * 60 * 24 * 30;
        match self {
            Self::Never => 0,
            Self::At(..=RELATIVE) => -1,
            Self::At(seconds) => i32::try_from(seconds).unwrap_or(i32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_taken_for_a_duration_nor_for_never() {
        for (expiry, sent) in [
            (Expiry::Never, 0),
            (Expiry::At(0), -1),
            (Expiry::At(1), -1),
            (Expiry::At(2_592_000), -1),
            (Expiry::At(2_592_001), 2_592_001),
            (Expiry::At(2_147_483_647), i32::MAX),
            (Expiry::At(2_147_483_648), i32::MAX),
            (Expiry::At(u64::MAX), i32::MAX),
        ] {
            assert_eq!(expiry.seconds(), sent, "{expiry:?}");
        }
    }
}
