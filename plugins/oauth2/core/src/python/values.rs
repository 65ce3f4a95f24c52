//! [`Values`]: what a backend must be able to do for a layout that is another's: single keys as they are, with any bytes.

use crate::items::{Answer, Proof};

/// A backend of plain keys. A value may be there for some seconds after it has expired: who reads it, looks.
pub(crate) trait Values: Send + Sync + 'static {
    /// Whether there can be such a key.
    fn is_key(&self, key: &str) -> bool;

    /// The value of a key. No key that the backend could not have has one.
    fn get(&self, key: String) -> Answer<'_, Option<Found>>;

    /// Gives a key a value, whatever it had before.
    fn set(&self, key: String, value: Vec<u8>, life: Life) -> Answer<'_, ()>;

    /// Gives a key a value that has none; whether it had none.
    fn add(&self, key: String, value: Vec<u8>, life: Life) -> Answer<'_, bool>;

    /// Replaces or removes a value if it is still the one that was read; whether it was. Of several who do that at once a
    /// single one is told so.
    fn swap(&self, key: String, read: Proof, next: Option<(Vec<u8>, Life)>) -> Answer<'_, bool>;

    /// Removes a value; whether there was one.
    fn remove(&self, key: String) -> Answer<'_, bool>;
}

/// A value as it was read. It is not printed.
pub(crate) struct Found {
    pub(crate) value: Vec<u8>,
    pub(crate) proof: Proof,
}

/// Until when a value is there, and what time it is, in Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// `None`: for good.
    pub(crate) expires_at: Option<u64>,
    pub(crate) now: u64,
}
