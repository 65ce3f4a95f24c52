//! What texts and times may be kept: every input has a bound, and holds nothing that one of the databases could not keep.

use serde::Serialize;
use token_plugin_api::{Expires, PluginError, Result};

/// In bytes.
const MAX_ACTOR_ID_BYTES: usize = 1_024;
const MAX_REASON_BYTES: usize = 4_096;
/// Notes, policies, restrictions, extra fields: a page of a listing has a thousand of each.
const MAX_TEXT_BYTES: usize = 64 * 1_024;
/// A sum of two such times is still a number that JSON's readers agree on.
const MAX_TIME: u64 = 1 << 52;

/// An actor's id.
pub(crate) fn actor_id(id: &str) -> Result<&str> {
    if id.is_empty() {
        return Err(PluginError::invalid_argument("an actor id is empty"));
    }
    bounded("an actor id", id, MAX_ACTOR_ID_BYTES)
}

/// The reason of an invalidation.
pub(crate) fn reason(reason: &str) -> Result<&str> {
    bounded("the reason", reason, MAX_REASON_BYTES)
}

/// A token's note.
pub(crate) fn note(note: &str) -> Result<&str> {
    bounded("the note", note, MAX_TEXT_BYTES)
}

/// Any other text.
pub(crate) fn text<'t>(what: &str, text: &'t str) -> Result<&'t str> {
    bounded(&format!("the {what}"), text, MAX_TEXT_BYTES)
}

/// Something as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(value).map_err(PluginError::failed)?;
    bounded("what is to be kept with the token", &json, MAX_TEXT_BYTES)?;
    Ok(json)
}

fn bounded<'t>(what: &str, text: &'t str, most: usize) -> Result<&'t str> {
    if text.len() > most {
        let bytes = text.len();
        return Err(PluginError::invalid_argument(format!("{what} has {bytes} bytes, expected at most {most}")));
    }
    if text.contains('\0') {
        return Err(PluginError::invalid_argument(format!("{what} holds the character U+0000")));
    }
    Ok(text)
}

/// The time after so many seconds.
pub(crate) fn time_after(now: u64, seconds: u64) -> Result<u64> {
    let time = now.checked_add(seconds).filter(|time| *time <= MAX_TIME);
    time.ok_or_else(|| PluginError::invalid_argument(format!("`expires_after` leads beyond the time {MAX_TIME}")))
}

/// When a token is to expire; none: never.
pub(crate) fn expires_at(now: u64, expires: Expires) -> Result<Option<u64>> {
    match expires {
        Expires::Never => Ok(None),
        Expires::At(time) if time <= now => {
            Err(PluginError::invalid_argument("`expires` is in the past: invalidate the token to end it"))
        }
        Expires::At(time) if time > MAX_TIME => {
            Err(PluginError::invalid_argument(format!("`expires` lies beyond the time {MAX_TIME}")))
        }
        Expires::At(time) => Ok(Some(time)),
    }
}
