//! [`Clock`]: the time, so that tests and embedders can set it.

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Unix seconds, UTC.
    fn now(&self) -> u64;
}

/// The system's clock. Before 1970 it says 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// On Linux from the coarse clock: ten times faster to read where the precise one costs a visit to the hypervisor.
    /// It is behind by up to a tick, which is 10 ms at the most. Close to the end of a second the precise one is asked:
    /// a token that another process has just made must not come from the future.
    #[cfg(target_os = "linux")]
    fn now(&self) -> u64 {
        use rustix::time::{ClockId, clock_gettime};
        use std::time::Duration;
        const CLOSE_TO_THE_END: Duration = Duration::from_millis(950);
        let mut now = clock_gettime(ClockId::RealtimeCoarse);
        // Of another type on every platform, and from 0 to 999,999,999 on all.
        if now.tv_nsec as u128 >= CLOSE_TO_THE_END.as_nanos() {
            now = clock_gettime(ClockId::Realtime);
        }
        u64::try_from(now.tv_sec).unwrap_or(0)
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> u64 {
        use std::time::{SystemTime, UNIX_EPOCH};
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}
