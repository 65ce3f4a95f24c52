//! [`Memcached`]: the operations.

use std::{fmt, sync::Arc};

use crate::{
    Compared, Error, ErrorKind, Expiry, Server, Servers, Settings, Value,
    distribution::Ring,
    lane::Lane,
    reply::Reply,
    request::{Key, Mode, Request},
};

/// A client of one or more memcached servers. Clones share their connections.
///
/// Nothing is connected until it is needed. All methods have to be awaited inside a tokio runtime with its IO and its
/// clock enabled: the connection lives on the runtime that first needed it, and when that ends, on the next that does.
///
/// A future may be dropped at any time. What it asked for may happen all the same, and disturbs nobody.
#[derive(Clone)]
pub struct Memcached(Arc<Inner>);

struct Inner {
    servers: Servers,
    ring: Ring,
    lanes: Vec<Lane>,
    max_value_bytes: usize,
}

impl Memcached {
    /// A client of these servers.
    pub fn new(servers: Servers, settings: Settings) -> Self {
        let settings = Arc::new(settings.clamped());
        let lanes = servers.iter().map(|server| Lane::new(server.clone(), Arc::clone(&settings))).collect();
        let ring = Ring::new(&servers, settings.distribution);
        Self(Arc::new(Inner { servers, ring, lanes, max_value_bytes: settings.max_value_bytes }))
    }

    /// Its servers.
    pub fn servers(&self) -> &Servers {
        &self.0.servers
    }

    /// The server that has this key, as libmemcached finds it.
    pub fn server_of(&self, key: &[u8]) -> &Server {
        self.lane_of(key).server()
    }

    /// The value of a key, if it has one.
    ///
    /// # Errors
    ///
    /// When there is no answer, the key cannot be one, or the value is larger than [`Settings::max_value_bytes`].
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        let lane = self.lane_of(key);
        match lane.ask(&Request::Get { key: Key::new(key)? }).await? {
            Reply::Value(value) => Ok(Some(value)),
            Reply::Missing => Ok(None),
            _ => Err(unexpected(lane)),
        }
    }

    /// Gives a key a value, whether it has one or not.
    ///
    /// # Errors
    ///
    /// When that may not have happened. See [`ErrorKind`] for what may have: what is too large for the server takes
    /// away the value that the key had.
    pub async fn set(&self, key: &[u8], data: &[u8], flags: u32, expiry: Expiry) -> Result<(), Error> {
        let (lane, reply) = self.store(key, data, flags, expiry, Mode::Set).await?;
        match reply {
            Reply::Done => Ok(()),
            _ => Err(unexpected(lane)),
        }
    }

    /// Gives a key a value when it has none. Whether it had none: of several that add, one is told so.
    ///
    /// # Errors
    ///
    /// As [`Self::set`].
    pub async fn add(&self, key: &[u8], data: &[u8], flags: u32, expiry: Expiry) -> Result<bool, Error> {
        let (lane, reply) = self.store(key, data, flags, expiry, Mode::Add).await?;
        match reply {
            Reply::Done => Ok(true),
            Reply::NotStored => Ok(false),
            _ => Err(unexpected(lane)),
        }
    }

    /// Gives a key a value when what it has is still what was read with this [`Value::cas`].
    ///
    /// # Errors
    ///
    /// As [`Self::set`], and when `cas` is 0: a server that gives no such numbers cannot compare them.
    pub async fn compare_and_set(
        &self,
        key: &[u8],
        data: &[u8],
        flags: u32,
        expiry: Expiry,
        cas: u64,
    ) -> Result<Compared, Error> {
        let mode = Mode::Compare(comparable(self.lane_of(key), cas)?);
        let (lane, reply) = self.store(key, data, flags, expiry, mode).await?;
        compared(lane, &reply)
    }

    /// Takes a key's value away. Whether it had one.
    ///
    /// # Errors
    ///
    /// When that may not have happened.
    pub async fn delete(&self, key: &[u8]) -> Result<bool, Error> {
        let lane = self.lane_of(key);
        match lane.ask(&Request::Delete { key: Key::new(key)?, cas: None }).await? {
            Reply::Done => Ok(true),
            Reply::Missing => Ok(false),
            _ => Err(unexpected(lane)),
        }
    }

    /// Takes a key's value away when it is still what was read with this [`Value::cas`].
    ///
    /// # Errors
    ///
    /// As [`Self::compare_and_set`].
    pub async fn delete_if(&self, key: &[u8], cas: u64) -> Result<Compared, Error> {
        let lane = self.lane_of(key);
        let cas = Some(comparable(lane, cas)?);
        compared(lane, &lane.ask(&Request::Delete { key: Key::new(key)?, cas }).await?)
    }

    /// The version that one of the servers has: whether it is ready.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it is none of the servers.
    pub async fn version(&self, server: &Server) -> Result<String, Error> {
        let lane = self.0.lanes.iter().find(|lane| lane.server() == server).ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "expected one of the servers of this client").at(server)
        })?;
        match lane.ask(&Request::Version).await? {
            Reply::Version(version) => Ok(version),
            _ => Err(unexpected(lane)),
        }
    }

    async fn store(
        &self,
        key: &[u8],
        data: &[u8],
        flags: u32,
        expiry: Expiry,
        mode: Mode,
    ) -> Result<(&Lane, Reply), Error> {
        let lane = self.lane_of(key);
        let key = Key::new(key)?;
        let max = self.0.max_value_bytes;
        if data.len() > max {
            let what = format!("a value of {} bytes, expected {max} at the most", data.len());
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        let reply = lane.ask(&Request::Store { key, data, flags, expiry, mode }).await?;
        Ok((lane, reply))
    }

    fn lane_of(&self, key: &[u8]) -> &Lane {
        &self.0.lanes[self.0.ring.server_of(key)]
    }
}

impl fmt::Debug for Memcached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memcached").field("servers", &self.0.servers).finish_non_exhaustive()
    }
}

fn comparable(lane: &Lane, cas: u64) -> Result<u64, Error> {
    // Some versions take 0 for "do not compare".
    if cas == 0 {
        let what = "expected numbers for compare and set, which a server that runs with -C does not give";
        return Err(Error::new(ErrorKind::Protocol, what).at(lane.server()));
    }
    Ok(cas)
}

fn compared(lane: &Lane, reply: &Reply) -> Result<Compared, Error> {
    match reply {
        Reply::Done => Ok(Compared::Done),
        Reply::Changed => Ok(Compared::Changed),
        Reply::Missing => Ok(Compared::Gone),
        _ => Err(unexpected(lane)),
    }
}

/// For answers that the connection has not let through, since they fit no such request.
fn unexpected(lane: &Lane) -> Error {
    Error::new(ErrorKind::Protocol, "an answer that does not fit the request").at(lane.server())
}
