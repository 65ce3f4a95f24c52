//! [`ServiceManager`]: tells systemd how the service fares, as a unit of `Type=notify` wants it (`sd_notify(3)`).

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
};

use rustix::time::{ClockId, clock_gettime};

/// Who started the service, when it wants to be told.
#[derive(Debug)]
pub(crate) struct ServiceManager(Option<OsString>);

impl ServiceManager {
    /// The one that the environment names.
    pub(crate) fn of_environment() -> Self {
        Self(env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()))
    }

    /// It serves.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// It reads its configuration; [`ServiceManager::ready`] follows.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        // Units of `Type=notify-reload` tell by it which reload is meant.
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// It finishes what is in flight.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        let Some(name) = &self.0 else { return };
        let told = address(name)
            .and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop));
        if let Err(error) = told {
            tracing::warn!(target: "http", "the service manager could not be told: {error}");
        }
    }
}

fn address(name: &OsString) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::{linux::net::SocketAddrExt, unix::ffi::OsStrExt};
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            return SocketAddr::from_abstract_name(name);
        }
    }
    SocketAddr::from_pathname(name)
}
