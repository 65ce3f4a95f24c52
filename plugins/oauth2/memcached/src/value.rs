//! What answers tell: a value, and how a comparison came out.

use std::fmt;

/// What a key has. It does not print: values may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The bytes.
    pub data: Vec<u8>,
    /// A number that goes with them, which clients use to say how they are encoded.
    pub flags: u32,
    /// A number that each write changes, for [`compare_and_set`](crate::Memcached::compare_and_set); 0 on a server that
    /// runs without them.
    pub cas: u64,
}

/// How a write came out that was to happen only when nobody else had written. These are all the ways there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Nobody had, and it is done.
    Done,
    /// The key has another value by now.
    Changed,
    /// The key has no value any more.
    Gone,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("bytes", &self.data.len())
            .field("flags", &self.flags)
            .field("cas", &self.cas)
            .finish_non_exhaustive()
    }
}
