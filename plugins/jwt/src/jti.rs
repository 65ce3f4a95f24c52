//! `jti`: what a token is called, so that it can be revoked.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngExt;

use crate::compact;

/// 128 random bits in base64url: 22 characters.
pub(crate) fn random() -> String {
    let mut bytes: u128 = rand::rng().random();
    // A child process that was forked has a copy of the generator, and would go on to give the parent's names to tokens
    // of its own: the nanosecond keeps them apart. (To ask for the process's id each time would cost four times this.)
    bytes ^= SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let mut id = String::with_capacity(ID_CHARACTERS);
    compact::encode_append(&bytes.to_le_bytes(), &mut id);
    id
}

/// 16 bytes in base64url without padding.
const ID_CHARACTERS: usize = 22;
