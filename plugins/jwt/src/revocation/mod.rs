//! temporary
use serde::Deserialize;
use std::{path::Path, sync::Arc};
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevocationConfig {}
#[derive(Debug)]
pub(crate) struct Revocations {}
pub(crate) struct RevokedToken {
    pub(crate) revoked_at: u64,
    pub(crate) reason: String,
}
impl Revocations {
    pub(crate) fn open(
        _: RevocationConfig,
        _: &str,
        _: &Path,
        _: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<Option<Arc<Self>>, String> {
        Ok(None)
    }
    pub(crate) fn is_revoked(&self, _: Option<&str>, _: &str, _: Option<u64>) -> bool {
        false
    }
    pub(crate) fn revoke_token(&self, _: &str, _: Option<&str>, _: Option<u64>, _: &str) -> Result<bool, String> {
        Ok(true)
    }
    pub(crate) fn revoke_before(&self, _: Option<&str>, _: u64, _: &str) -> Result<bool, String> {
        Ok(true)
    }
    pub(crate) fn revoked(&self, _: &str) -> Result<Option<RevokedToken>, String> {
        Ok(None)
    }
}
