//! JSON Web Tokens (RFC 7519), signed (RFC 7515): strict, fast, and good with the libraries people already have.
//!
//! Interoperable in both directions with what follows the RFCs (PyJWT, Authlib, jose, jsonwebtoken, ...), and with
//! Flask-JWT-Extended, whose kinds of token (access, fresh access, refresh) it makes and tells apart. What those leave
//! open is closed here:
//!
//! - the algorithm belongs to the key, and is never chosen by the token;
//! - what is configured (issuer, audience, subject, kind) is written and required;
//! - every token expires, unless the settings say otherwise under a name that says so;
//! - a token has one spelling, and what is malformed in any way is rejected: the table is in `tests/tests/jwt.rs`;
//! - tokens can be revoked, singly or all from before a time.
//!
//! A token is ours by its key: one whose header names an algorithm or a `kid` that none of our keys has is not
//! recognized, and left to other handlers. One that is ours, and bad in any way, is rejected.

mod algorithm;
mod claims;
mod compact;
mod config;
mod create;
mod handler;
mod header;
mod hmac;
mod json;
mod jti;
mod keys;
mod revocation;
mod usual;
mod verify;

#[cfg(feature = "export")]
use token_plugin_api::export_plugin;

pub use config::Config;
pub use handler::{Jwt, register};

#[cfg(feature = "export")]
export_plugin! { name: "jwt", hooks: [TokenHandler], register: register }
