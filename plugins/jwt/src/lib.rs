//! JSON Web Tokens (RFC 7519), signed (RFC 7515).
mod algorithm;
