//! The form of an audit file: JSON Lines that are bound to each other by hashes. The audit plugin writes such files,
//! `token-host audit verify` verifies them.
//!
//! # A file
//!
//! Each line is a JSON object. It begins with its number in the chain, and ends with two hashes, in this order:
//!
//! ```text
//! {"seq":1,"at":1700000000,"event":"file_started","file":1,"format":1,"chain":"sha256","prev":"0000...","hash":"5f1d..."}
//! {"seq":2,"at":1700000000,"event":"token_created","outcome":"success",...,"prev":"5f1d...","hash":"c27a..."}
//! ```
//!
//! - `seq` counts from 1, over all files of a chain, without a gap.
//! - `at` is in Unix seconds, UTC, as every time in tokens is (`iat`, `exp`): one spelling, no time zones, no parsing.
//!   Times may go back: clocks are set, and several processes write.
//! - `event` is a kind of event of the host, or one of [`FILE_STARTED`], [`LINE_TORN`], [`RECORDS_LOST`].
//! - `prev` is the `hash` of the line before, 64 zeros in the first line of a chain.
//! - `hash` is over the very bytes of the line before `,"hash":"`: SHA-256, or HMAC-SHA-256 when there is a key. What is
//!   hashed is not JSON that was read and written again, so that there is nothing to agree upon:
//!   `head -n 1 FILE | sed 's/,"hash":.*//' | tr -d '\n' | sha256sum` computes it.
//!
//! The first line of each file is `file_started`. It says how the lines of this file are bound ([`FileStart`]), and
//! names the file before, whose last line it goes on from. No line is longer than [`MAX_LINE_BYTES`].
//!
//! # What is proven
//!
//! [`Verification`] finds any line that was changed, removed, put in, moved or doubled, with one exception: that lines
//! are missing **at the end** can be seen by nobody who does not know what the end was. So note the last hash somewhere
//! else, and ask whether it is still there.
//!
//! Without a key the hashes hold against accidents, and against whoever changes a line here and there. Whoever can write
//! the file can also compute all hashes anew. With a key, which those who write the file by other means do not have, they
//! cannot; but whoever can read the plugin's settings has it. Against the administrators of the machine itself only what
//! is kept on another one helps: the noted hash.

mod hash;
mod line;
mod seal;
mod verification;

pub use hash::Hash;
pub use line::{
    FILE_STARTED, FORMAT, FileStart, LINE_TORN, Line, MAX_LINE_BYTES, Malformed, Position, RECORDS_LOST, append,
};
pub use seal::{MIN_KEY_BYTES, Seal, ShortKey};
pub use verification::{Broken, Findings, Seen, Unverified, Verification, Warning};
