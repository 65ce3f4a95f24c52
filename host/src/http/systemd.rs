//! The sockets that systemd opened for this process (`LISTEN_FDS`).

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use listenfd::ListenFd;
#[cfg(not(target_vendor = "apple"))]
use rustix::net::sockopt::socket_acceptconn;

use super::listen::Socket;

/// What was taken, until it is used.
static TAKEN: Mutex<Option<io::Result<Vec<Socket>>>> = Mutex::new(None);

/// Takes the sockets that systemd opened for this process out of its environment, for a [`listen`](super::listen) at
/// `systemd` that comes later.
///
/// To be called before plugins are loaded and threads started: then no child process inherits the sockets, and nobody reads
/// the environment while it is changed. Where nobody does, [`listen`](super::listen) does it.
pub fn take_systemd_sockets() {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    taken.get_or_insert_with(take);
}

/// The sockets, once.
///
/// # Errors
///
/// When there are none, or one is none that connections come to.
pub(super) fn sockets() -> io::Result<Vec<Socket>> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let sockets = taken.replace(Ok(Vec::new())).unwrap_or_else(take)?;
    if sockets.is_empty() {
        let none = "systemd has opened no sockets for this process: start it by a socket unit";
        return Err(io::Error::new(io::ErrorKind::NotFound, none));
    }
    Ok(sockets)
}

/// How many of those that were taken nobody has asked for.
pub(super) fn unused() -> usize {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    taken.as_ref().and_then(|taken| taken.as_ref().ok()).map_or(0, Vec::len)
}

fn take() -> io::Result<Vec<Socket>> {
    let mut given = ListenFd::from_env();
    (0..given.len()).map(|index| socket(&mut given, index)).collect()
}

fn socket(given: &mut ListenFd, index: usize) -> io::Result<Socket> {
    let socket = match given.take_tcp_listener(index) {
        Ok(socket) => socket.map(Socket::Tcp),
        // One of another family stays where it was.
        Err(_) => given.take_unix_listener(index).map_err(|_| unfit(index))?.map(Socket::Unix),
    };
    socket.filter(is_listening).ok_or_else(|| unfit(index))
}

/// Not so is the one connection of a socket unit with `Accept=yes`.
#[cfg(not(target_vendor = "apple"))]
fn is_listening(socket: &Socket) -> bool {
    let is_listening = match socket {
        Socket::Tcp(listener) => socket_acceptconn(listener),
        Socket::Unix(listener) => socket_acceptconn(listener),
    };
    is_listening == Ok(true)
}

#[cfg(target_vendor = "apple")]
fn is_listening(_: &Socket) -> bool {
    true
}

fn unfit(index: usize) -> io::Error {
    let number = index + 1;
    let told = format!(
        "socket {number} of those that systemd opened is none that connections come to: expected ListenStream= with an \
         address or a path, and Accept=no"
    );
    io::Error::new(io::ErrorKind::InvalidInput, told)
}
