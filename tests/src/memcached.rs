//! Real memcached servers.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use crate::{Skip, debian_program, user::User, wait_until};

/// A memcached server: a child process on a port of its own, which ends with this.
#[derive(Debug)]
pub struct Memcached {
    server: Mutex<Child>,
    program: PathBuf,
    user: User,
    port: u16,
}

impl Memcached {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When memcached is not there and cannot be installed.
    pub fn start() -> Result<Self, Skip> {
        const TRIES: u32 = 10;
        let (program, user) = (debian_program("memcached", "memcached")?, User::unprivileged()?);
        // Between looking for a port and taking it, somebody may.
        for _ in 0..TRIES {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(server) = serve(&program, user, port) {
                return Ok(Self { server: Mutex::new(server), program, user, port });
            }
        }
        Err(Skip("memcached does not start".to_owned()))
    }

    /// The port on which it listens, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it, with all that it knows.
    ///
    /// # Panics
    ///
    /// When that cannot be done.
    pub fn kill(&self) {
        let mut server = self.server.lock().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Starts it on its port again, empty.
    ///
    /// # Panics
    ///
    /// When somebody has taken the port.
    pub fn restart(&self) {
        *self.server.lock().unwrap() = serve(&self.program, self.user, self.port).expect("its port is free");
    }
}

/// A server on this port, once it answers; none: it ended, since the port is taken.
fn serve(program: &Path, user: User, port: u16) -> Option<Child> {
    let mut command = Command::new(program);
    command.args(["-l", "127.0.0.1", "-U", "0", "-p", &port.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = user.run(&mut command).spawn().unwrap();
    let is_up = wait_until("the server is ready", || {
        let ended = server.try_wait().unwrap().map(|_| false);
        ended.or_else(|| TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true))
    });
    is_up.then_some(server)
}

impl Drop for Memcached {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap();
        // It may have ended already.
        let _ = server.kill();
        let _ = server.wait();
    }
}
