//! [`Store`]: what a place must be able to do in which revocations outlive the process.

/// A token that was revoked. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RevokedToken {
    /// Where it is in the listing.
    pub(crate) seq: i64,
    /// The id by which it says it is known.
    pub(crate) jti: String,
    /// Whom it stood for, if whoever revoked it knew.
    pub(crate) actor_id: Option<String>,
    /// When it expires; none: not known, or never.
    pub(crate) expires_at: Option<u64>,
    /// When it was revoked first.
    pub(crate) revoked_at: u64,
    /// Why it was revoked first.
    pub(crate) reason: String,
}

/// A time before which all tokens were revoked. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cutoff {
    /// Whose tokens; none: everyone's.
    pub(crate) actor_id: Option<String>,
    /// Tokens that were issued earlier are revoked.
    pub(crate) before: u64,
    /// When this was decided.
    pub(crate) set_at: u64,
    /// Why.
    pub(crate) reason: String,
}

/// What memory must know of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revocation<'a> {
    Token { jti: &'a str, expires_at: Option<u64> },
    Before { actor_id: Option<&'a str>, before: u64 },
}

/// A place for revocations, that several processes may share. Errors say which place, and what is wrong with it.
pub(super) trait Store: Send + Sync {
    /// Keeps a token, durably; its `seq` is the store's to say. Whether it was not there before; if it was, its reason
    /// and date stay, and the later expiry.
    fn revoke_token(&self, token: &RevokedToken) -> Result<bool, String>;

    /// Keeps a cutoff, durably. Whether it is later than the one that was there before; if not, that one stays.
    fn revoke_before(&self, cutoff: &Cutoff) -> Result<bool, String>;

    /// The token with this `jti`.
    fn token(&self, jti: &str) -> Result<Option<RevokedToken>, String>;

    /// The first tokens behind this `seq`, in its order, at most `limit`.
    fn tokens(&self, after: Option<i64>, limit: u32) -> Result<Vec<RevokedToken>, String>;

    /// All cutoffs, everyone's first.
    #[cfg(test)]
    fn cutoffs(&self) -> Result<Vec<Cutoff>, String>;

    /// Tells all that was revoked since the last call that was no error, by whatever process; at first, all. It may tell
    /// things again.
    fn news(&self, tell: &mut dyn FnMut(Revocation<'_>)) -> Result<(), String>;

    /// Deletes tokens that expired before this time, in Unix seconds, at most `limit`. How many there were.
    fn forget_expired(&self, before: u64, limit: u32) -> Result<usize, String>;
}
