//! [`Prepared`]: a connection with the lookup on it, parsed once: to find a statement in a cache takes a good part of what
//! it takes to run it.

#![allow(unsafe_code)]

use rusqlite::{Connection, OptionalExtension, Statement};

use super::{LOOK_UP, rows::known};
use crate::{digest::Digest, store::Known};

/// A connection, and the lookup on it.
pub(super) struct Prepared {
    // First, since it has to be dropped before the connection.
    look_up: Statement<'static>,
    connection: Box<Connection>,
}

// SAFETY: a statement is not `Send` since it borrows a connection, which two threads must not use at once. Here it has its
// connection with it, neither is ever handed out without borrowing the whole, and the whole is not `Sync`.
unsafe impl Send for Prepared {}

impl Prepared {
    pub(super) fn new(connection: Connection) -> rusqlite::Result<Self> {
        let connection = Box::new(connection);
        let look_up = connection.prepare(LOOK_UP.as_str())?;
        // SAFETY: the connection lies in a box that is not moved out of, and is dropped after the statement: it lives as
        // long as the statement does. As `'static` the statement is seen in this module only.
        let look_up = unsafe { std::mem::transmute::<Statement<'_>, Statement<'static>>(look_up) };
        Ok(Self { look_up, connection })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn look_up(&mut self, digest: &Digest) -> rusqlite::Result<Option<Known>> {
        self.look_up.query_row([digest.as_bytes()], known).optional()
    }
}
