//! The generators that make the values of tokens: [`TokenHost`] (ours, and the default), and Djblets' two. [`Form`]: what
//! can be said of a value before the database is asked.

mod base62;
mod legacy_sha1;
#[cfg(test)]
mod tests;
mod token_host;
mod vendor_checksum;

pub(crate) use legacy_sha1::LegacySha1;
pub(crate) use token_host::{Prefix, TokenHost};
use token_plugin_api::{Hooks, PluginError, Result};
pub(crate) use vendor_checksum::VendorChecksum;

/// What a value looks like. The first of several that says [`Fine`](Self::Fine) is right, or else [`Bad`](Self::Bad).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Like nothing that the generator makes.
    NotOurs,
    /// Like what it makes, but for a checksum, a length or a character: it was damaged, or made up.
    Bad,
    /// Like what it makes. Whether such a token exists is another question.
    Fine,
}

/// Registers all generators; ours makes tokens with this prefix.
pub(crate) fn register(hooks: &mut Hooks, prefix: Prefix) {
    hooks.token_generator(TokenHost::new(prefix));
    hooks.token_generator(VendorChecksum);
    hooks.token_generator(LegacySha1);
}

/// What tells a token from others without telling it: its prefix, if it has one, and its last characters.
pub(crate) fn hint(token: &str) -> String {
    const SHOWN: usize = 4;
    const MAX_PREFIX: usize = 48;
    /// What is not shown must be too much to try.
    const MIN_HIDDEN: usize = 20;
    let Some((start, _)) = token.char_indices().rev().nth(SHOWN - 1) else { return String::new() };
    // The first: in what comes behind it there may be others, that are not the end of a prefix.
    let prefix = token.find('_').map_or(0, |end| end + 1);
    let prefix = if prefix <= MAX_PREFIX && prefix + MIN_HIDDEN <= start { prefix } else { 0 };
    if start < prefix + MIN_HIDDEN {
        return String::new();
    }
    format!("{}...{}", &token[..prefix], &token[start..])
}

/// Fills an array with random bytes of the operating system.
fn random<const N: usize>() -> Result<zeroize::Zeroizing<[u8; N]>> {
    let mut bytes = zeroize::Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| PluginError::failed(format!("the system has no random numbers: {error}")))?;
    Ok(bytes)
}
