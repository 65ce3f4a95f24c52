//! [`AuthenticateSettings`]: where tokens are looked for, and how often somebody may fail.

use http::HeaderName;

/// Where tokens are looked for, and how often somebody may fail. `AuthenticateSettings::default()` is what an absent
/// `[http]` table means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticateSettings {
    /// What challenges call the place that is protected (RFC 9110 §11.5). Default: `token-host`.
    pub realm: String,
    /// The schemes of `Authorization` that a token may come by; letters count as the same in either case. The first is
    /// the one of challenges. Default: `Bearer` (RFC 6750) and Djblets' `token`.
    pub schemes: Vec<String>,
    /// A header that may hold a token, nothing else. Default: none, since who logs requests knows to leave out
    /// `Authorization` alone.
    pub header: Option<HeaderName>,
    /// A cookie that may hold a token. Default: none: a browser sends cookies along whoever made it ask, so that what
    /// stands behind needs a defence against forged requests.
    pub cookie: Option<String>,
    /// A parameter of the query that may hold a token. Default: none, since URLs end up in logs and histories (RFC 6750
    /// §5.3).
    pub query: Option<String>,
    /// How many failed attempts an address (of IPv6, its /64) may make in a minute before it is told to wait. From 1 to
    /// 1,000,000; default 60: a client that is wrong once a second finds out, and one that guesses gets nowhere.
    pub failures_per_address: u32,
    /// The same for one and the same token, wherever it comes from: what keeps on trying a token that was revoked.
    /// Default 60.
    pub failures_per_token: u32,
}

impl Default for AuthenticateSettings {
    fn default() -> Self {
        Self {
            realm: "token-host".to_owned(),
            schemes: vec!["Bearer".to_owned(), "token".to_owned()],
            header: None,
            cookie: None,
            query: None,
            failures_per_address: 60,
            failures_per_token: 60,
        }
    }
}
