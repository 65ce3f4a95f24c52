//! [`FailureLimits`]: how often an address, and a token, may fail before it is told to wait.
//!
//! Only failures are counted, and only a failure is answered with "wait": a good token is never kept out, whoever else
//! fails from its address. Tokens are known by a hash under a key that the process made up.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use super::settings::AuthenticateSettings;

/// When there are so many addresses, or tokens, all of them share one count until some are forgotten: memory is bounded,
/// whoever asks from how many addresses. A good token passes all the same.
const MAX_KEYS: usize = 100_000;

/// How many failures pass before what is long over is forgotten.
const FAILURES_BETWEEN_SWEEPS: u32 = 10_000;

/// How often somebody may fail.
pub(super) struct FailureLimits {
    addresses: DefaultKeyedRateLimiter<u64>,
    tokens: DefaultKeyedRateLimiter<u64>,
    /// The key of what is hashed.
    hashes: RandomState,
    clock: DefaultClock,
    failures: AtomicU32,
    limits: (u32, u32),
}

impl FailureLimits {
    pub(super) fn new(settings: &AuthenticateSettings) -> Self {
        let limits = Self::limits_of(settings);
        let limiter = |per_minute| {
            DefaultKeyedRateLimiter::keyed(Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN)))
        };
        Self {
            addresses: limiter(limits.0),
            tokens: limiter(limits.1),
            hashes: RandomState::new(),
            clock: DefaultClock::default(),
            failures: AtomicU32::new(0),
            limits,
        }
    }

    /// Whether these are the limits of such settings.
    pub(super) fn is_of(&self, settings: &AuthenticateSettings) -> bool {
        self.limits == Self::limits_of(settings)
    }

    /// Counts a failure; when there were too many, how long to wait.
    pub(super) fn failed(&self, address: Option<IpAddr>, token: &str) -> Option<Duration> {
        self.sweep();
        let of_address =
            address.and_then(|address| self.count(&self.addresses, self.hashes.hash_one(network(address))));
        let of_token = self.count(&self.tokens, self.hashes.hash_one(token));
        of_address.max(of_token)
    }

    fn count(&self, limiter: &DefaultKeyedRateLimiter<u64>, key: u64) -> Option<Duration> {
        let key = if limiter.len() < MAX_KEYS { key } else { 0 };
        let too_early = limiter.check_key(&key).err()?;
        // A wait of nothing would be none.
        Some(too_early.wait_time_from(self.clock.now()).max(Duration::from_secs(1)))
    }

    fn sweep(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) % FAILURES_BETWEEN_SWEEPS == FAILURES_BETWEEN_SWEEPS - 1 {
            for limiter in [&self.addresses, &self.tokens] {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
        }
    }

    fn limits_of(settings: &AuthenticateSettings) -> (u32, u32) {
        (settings.failures_per_address, settings.failures_per_token)
    }
}

/// Who has one address of IPv6 has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(address: u32, token: u32) -> FailureLimits {
        let (failures_per_address, failures_per_token) = (address, token);
        let defaults = AuthenticateSettings::default();
        FailureLimits::new(&AuthenticateSettings { failures_per_address, failures_per_token, ..defaults })
    }

    #[test]
    fn an_address_and_a_token_are_counted_each() {
        let limits = limits(3, 5);
        let (one, other): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        for token in ["a", "b", "c"] {
            assert_eq!(limits.failed(Some(one), token), None);
        }
        assert!(limits.failed(Some(one), "d").is_some_and(|wait| wait <= Duration::from_secs(20)));
        assert_eq!(limits.failed(Some(other), "d"), None);
        let told: Vec<bool> = (0..6).map(|_| limits.failed(None, "x").is_some()).collect();
        assert_eq!(told, [false, false, false, false, false, true]);
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let limits = limits(1, 1000);
        assert_eq!(limits.failed(Some("2001:db8::1".parse().unwrap()), "a"), None);
        assert!(limits.failed(Some("2001:db8::ffff:1".parse().unwrap()), "b").is_some());
        assert_eq!(limits.failed(Some("2001:db8:0:1::1".parse().unwrap()), "c"), None);
        assert_eq!(limits.failed(Some("::ffff:10.0.0.1".parse().unwrap()), "d"), None);
        assert!(limits.failed(Some("10.0.0.1".parse().unwrap()), "e").is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let limits = limits(1_000_000, 1_000_000);
        for token in 0..MAX_KEYS + 5_000 {
            limits.failed(None, &token.to_string());
        }
        assert!(limits.tokens.len() <= MAX_KEYS + 1, "{}", limits.tokens.len());
    }
}
