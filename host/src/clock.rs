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
    /// On Linux from the coarse clock: it is some milliseconds behind, which seconds do not show,
    /// and ten times faster to read where the precise one costs a visit to the hypervisor.
    #[cfg(target_os = "linux")]
    fn now(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        u64::try_from(now.tv_sec).unwrap_or(0)
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> u64 {
        use std::time::{SystemTime, UNIX_EPOCH};
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}
