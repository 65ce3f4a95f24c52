//! An event sink that writes down what happens to tokens, in files that show when they were changed.
//!
//! Each event is a line of JSON: what, when, whose token, which handler, the token's id, why, where it came from. Each
//! line is bound to the one before it by a hash: the form is described in [`token_audit_chain`], and
//! `token-host audit verify FILE...` verifies it. No line holds a token: events have none, and of a request's path only
//! what is before the query is written, which may hold one (RFC 6750 §2.3). What is longer than a line has room for is
//! cut, and `cut` says what, and how long it was.
//!
//! # What is certain
//!
//! - **With `required`**, no creation, update or invalidation is answered before its line is written and, with
//!   `fsync = "changes"`, on the disk. When that fails the caller gets an error. So there is no answer without a line.
//!   There may be a line without an answer: when the disk was slower than the deadline. And what was done is not undone:
//!   a revocation of which the line could not be written holds; only its caller is told that it was not written down.
//! - **Without it**, and for uses, rejections and expiries always, events come from the host's queue, after the answer.
//!   When more come than can be written, the host drops the newest, counts them (`Host::status`), and logs it. A line
//!   takes some ten microseconds here, a verification less than one: a host that verifies without pause drops most of
//!   its uses. Who wants those written down has to be slower, and who does not leaves them out with `events`.
//! - **A process that is killed** takes no line with it that was written. A failure of power takes what was not on the
//!   disk yet (`fsync`).
//! - **When a line cannot be written**, what was written of it is taken back. As soon as it works again the chain goes
//!   on, with a line that tells how many records were lost in between.
//! - **A line that was torn**, since the power failed in the middle of it, is put into the next one, of the event
//!   `line_torn`, as text and as a hash: all lines of a file are whole ones, and a torn one can still be read.
//! - **A file whose end makes no sense** is kept aside, as if it were full, and a new chain begins, which says so:
//!   to write is better than not to, and the verification finds what is wrong with the old one.
//!
//! # Several processes
//!
//! Any number of processes may write to one file: a host that runs, commands, several instances of this plugin in one
//! host. Each locks the file, looks whether its end is still where it was, and else reads it again. Whoever finds the
//! file full renames it (`audit.jsonl.000001`), and the others notice. All must have the same settings. Do not let
//! another program rotate the file: what it takes away looks as if somebody had.
//!
//! A process that runs knows the last line. When somebody shortens or removes the file, it goes on from what it knows,
//! and so the gap can be seen. A command that runs for a moment does not know; see [`token_audit_chain`] for what cannot
//! be seen by anybody. The last hash is logged at the level `info` when a file is full and at the end of the process, so
//! that it is known somewhere else as well.
//!
//! # Keys
//!
//! With `key` the hashes cannot be computed by those who can write the file and do not have it. There is one key: whoever
//! changes it gets a new file, which follows the last one, and verifies each with its own (`--key-file` may be given
//! several times). A list, as others have for rotation, would be of no use: old lines are not read again.

mod config;
mod end;
mod file;
mod record;
mod rotated;
mod sink;
mod sync;
mod trail;

#[cfg(feature = "export")]
use token_plugin_api::export_plugin;

pub use config::Config;
pub use sink::{Audit, register};

#[cfg(feature = "export")]
export_plugin! { name: "audit", hooks: [EventSink], register: register }
