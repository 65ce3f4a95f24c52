//! [`DatasetteAuthTokens`]: the tokens of Datasette with the plugin datasette-auth-tokens 0.4.
//!
//! Its tokens are nothing but the signed number of a row: `dsatok_` and what itsdangerous' `URLSafeSerializer` makes of
//! the number, with Datasette's secret and the salt `dsatok`. So whoever knows the secret knows each of them, and here
//! they are computed to keep their digests.
//!
//! There a token is good to the end of the second in which it expires, here to its beginning.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use token_plugin_api::{PluginError, Result, TokenRestrictions};
use zeroize::Zeroizing;

use super::{
    Context, Details, Foreign, ForeignToken, NewToken, Skip, id,
    options::Options,
    rows::{Column, Identifier, Kind, Query, Row, Rows, find_table, required},
    text,
};
use crate::{generators, store::Invalidated};

/// Where the tokens are, and what signs them.
pub(super) struct DatasetteAuthTokens {
    table: Identifier,
    /// Has the key in it already.
    key: Hmac<Sha1>,
}

impl DatasetteAuthTokens {
    /// What stands for the generator of these tokens.
    pub(super) const GENERATOR: &str = "datasette_auth_tokens";

    pub(super) fn new(options: &Options<'_>) -> Result<Self> {
        options.only(&["table", "secret"])?;
        let secret = options.text("secret")?.ok_or_else(|| {
            PluginError::invalid_argument("the option `secret` must be Datasette's secret: its tokens are made of it")
        })?;
        let table = options.identifier("table")?.map_or_else(|| Identifier::new("_datasette_auth_tokens"), Ok)?;
        // itsdangerous' "django-concat".
        let key = Zeroizing::new(<[u8; 20]>::from(
            Sha1::new().chain_update("dsatok").chain_update("signer").chain_update(secret).finalize(),
        ));
        let key = Hmac::new_from_slice(&*key).map_err(PluginError::failed)?;
        Ok(Self { table, key })
    }

    pub(super) async fn query(&self, rows: &mut dyn Rows) -> Result<Query> {
        let columns: Vec<&'static str> = COLUMNS.iter().map(|column| column.name).collect();
        let table = find_table(rows, Some(&self.table), &columns).await?;
        Ok(Query { table, users: None, columns: &COLUMNS })
    }

    pub(super) fn name(&self, row: &Row) -> String {
        row.integer("id").ok().flatten().map_or_else(|| "a row without an id".to_owned(), |id| format!("token {id}"))
    }

    pub(super) fn convert(&self, row: &Row, context: &Context<'_>) -> Result<Foreign, Skip> {
        let value = self.token(required("id", row.integer("id")?)?)?;
        let created_at = required("created_timestamp", row.time("created_timestamp")?)?;
        let ended_at = row.time("ended_timestamp")?;
        let Lifetime { expires_at, invalidated } = lifetime(row, created_at, ended_at, context.now)?;
        let token = NewToken {
            digest: context.digester.digest(&value),
            actor_id: id("actor_id", required("actor_id", row.text("actor_id")?)?)?,
            generator_id: Self::GENERATOR.to_owned(),
            created_at,
            expires_at,
            restrictions: restrictions(required("permissions", row.text("permissions")?)?)?,
            policy: None,
            details: Details {
                hint: generators::hint(&value),
                note: text(row.text("description")?),
                ..Details::default()
            },
        };
        let updated_at = ended_at.unwrap_or(created_at);
        let last_used_at = row.time("last_used_timestamp")?;
        let token = ForeignToken { token, updated_at, last_used_at, invalidated };
        Ok(Foreign { token, is_active: true, remark: None })
    }

    /// The token of a row.
    fn token(&self, id: i64) -> Result<Zeroizing<String>, Skip> {
        /// Longer numbers may be compressed.
        const MAX_DIGITS: usize = 12;
        let payload = id.to_string();
        if payload.len() > MAX_DIGITS {
            return Err(Skip::new("its number is too large"));
        }
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let signature = self.key.clone().chain_update(&payload).finalize().into_bytes();
        Ok(Zeroizing::new(format!("dsatok_{payload}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl std::fmt::Debug for DatasetteAuthTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatasetteAuthTokens").field("table", &self.table).finish_non_exhaustive()
    }
}

const COLUMNS: [Column; 9] = [
    Column::new("id", Kind::Integer),
    Column::new("token_status", Kind::Text),
    Column::new("description", Kind::Text),
    Column::new("actor_id", Kind::Text),
    Column::new("permissions", Kind::Text),
    Column::new("created_timestamp", Kind::Integer),
    Column::new("last_used_timestamp", Kind::Integer),
    Column::new("expires_after_seconds", Kind::Integer),
    Column::new("ended_timestamp", Kind::Integer),
];

/// How long a token lives.
struct Lifetime {
    expires_at: Option<u64>,
    invalidated: Option<Invalidated>,
}

fn lifetime(row: &Row, created_at: u64, ended_at: Option<u64>, now: u64) -> Result<Lifetime, Skip> {
    let seconds = row.integer("expires_after_seconds")?;
    let expires_at = seconds.map(|seconds| created_at.saturating_add_signed(seconds));
    let (expires_at, invalidated) = match required("token_status", row.text("token_status")?)? {
        "A" => (expires_at, None),
        "R" => {
            let reason = "revoked in datasette-auth-tokens".to_owned();
            (expires_at, Some(Invalidated { at: ended_at.unwrap_or(now), reason }))
        }
        // It is over there, whatever the other columns say.
        "E" => (Some(expires_at.unwrap_or(now).min(ended_at.unwrap_or(now))), None),
        _ => return Err(Skip::new("its `token_status` is none of A, R and E")),
    };
    Ok(Lifetime { expires_at, invalidated })
}

/// What the token is restricted to, as it is kept here; none: it is not.
fn restrictions(written: &str) -> Result<Option<String>, Skip> {
    let written: Value = serde_json::from_str(written).map_err(|_| Skip::new("its `permissions` are no JSON"))?;
    if written.is_null() {
        return Ok(None);
    }
    // There it means "everything", here "nothing": neither is for us to choose.
    if written.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(Skip::new("its `permissions` are empty, expected `null` or what it may do"));
    }
    let restrictions: TokenRestrictions =
        serde_json::from_value(written).map_err(|_| Skip::new("its `permissions` are no restrictions"))?;
    serde_json::to_string(&restrictions).map(Some).map_err(|_| Skip::new("its `permissions` cannot be written"))
}
