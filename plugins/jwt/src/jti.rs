//! `jti`: what a token is called, so that it can be revoked.

use std::cell::Cell;

use rand::Rng;

use crate::compact;

/// 128 random bits in base64url: 22 characters.
pub(crate) fn random() -> String {
    thread_local! {
        /// The process that the thread's generator was seeded in.
        static SEEDED_IN: Cell<u32> = const { Cell::new(0) };
    }
    let mut generator = rand::rng();
    let process = std::process::id();
    // A forked child has a copy of the generator: both would go on to give the same names to different tokens.
    if SEEDED_IN.replace(process) != process && generator.reseed().is_err() {
        // Without randomness from the system what the generator has already is still good in this process alone.
        tracing::warn!("the system has no random numbers to seed with");
    }
    let mut bytes = [0; 16];
    generator.fill_bytes(&mut bytes);
    let mut id = String::with_capacity(ID_CHARACTERS);
    compact::encode_append(&bytes, &mut id);
    id
}

/// 16 bytes in base64url without padding.
pub(crate) const ID_CHARACTERS: usize = 22;
