//! [`DjangoRestKnox`]: the tokens of a Django project with django-rest-knox 5.
//!
//! It keeps digests of them, of the token's text. (Version 4 made digests of the bytes that the text is the hexadecimal
//! form of; nothing in its database tells.) They are kept as they are: who presents a token is found by the same digest.
//!
//! There a token is good until its `expiry` has passed, here it ends with the beginning of that second.

use token_plugin_api::Result;

use super::{
    Context, Details, Foreign, ForeignToken, NewToken, Skip,
    django::Users,
    options::Options,
    rows::{Column, Identifier, Kind, Query, Row, Rows, find_table, required},
    text,
};
use crate::digest::Digest;

/// Where the tokens are, and what made their digests.
#[derive(Debug)]
pub(super) struct DjangoRestKnox {
    table: Identifier,
    users: Users,
    digest_bytes: usize,
}

impl DjangoRestKnox {
    /// What stands for the generator of these tokens.
    pub(super) const GENERATOR: &str = "django_rest_knox";

    pub(super) fn new(options: &Options<'_>) -> Result<Self> {
        let [users, actor] = Users::OPTIONS;
        options.only(&["table", "digest", users, actor])?;
        let table = options.identifier("table")?.map_or_else(|| Identifier::new("knox_authtoken"), Ok)?;
        // Others could not be computed when the token is presented.
        let digest_bytes = options.choice("digest", [("sha512", 64), ("sha256", 32)])?;
        Ok(Self { table, users: Users::new(options)?, digest_bytes })
    }

    pub(super) async fn query(&self, rows: &mut dyn Rows) -> Result<Query> {
        let own: Vec<&'static str> = COLUMNS[..OWN].iter().map(|column| column.name).collect();
        let table = find_table(rows, Some(&self.table), &own).await?;
        Ok(Query { table, users: Some(self.users.find(rows).await?), columns: &COLUMNS })
    }

    pub(super) fn name(&self, row: &Row) -> String {
        const SHOWN: usize = 12;
        let digest = row.text("digest").ok().flatten().and_then(|digest| digest.get(..SHOWN));
        digest.map_or_else(|| "a row without a digest".to_owned(), |digest| format!("digest {digest}..."))
    }

    pub(super) fn convert(&self, row: &Row, _: &Context<'_>) -> Result<Foreign, Skip> {
        let (actor_id, is_active) = self.users.actor(row)?;
        let digest = from_hex(required("digest", row.text("digest")?)?);
        let digest = digest.filter(|bytes| bytes.len() == self.digest_bytes);
        let digest = digest.and_then(|bytes| Digest::of_bytes(&bytes)).ok_or_else(|| {
            Skip(format!("its `digest` is not the {} hexadecimal digits of the hash", 2 * self.digest_bytes))
        })?;
        let created_at = required("created", row.time("created")?)?;
        // The beginning of the token.
        let hint = row.text("token_key")?.filter(|key| !key.is_empty()).map(|key| format!("{key}..."));
        let token = NewToken {
            digest,
            actor_id,
            generator_id: Self::GENERATOR.to_owned(),
            created_at,
            expires_at: row.time("expiry")?,
            restrictions: None,
            policy: None,
            details: Details { hint: text(hint.as_deref()), ..Details::default() },
        };
        let token = ForeignToken { token, updated_at: created_at, last_used_at: None, invalidated: None };
        Ok(Foreign { token, is_active, remark: None })
    }
}

/// The columns of `AuthToken`, and then those of its user.
const COLUMNS: [Column; OWN + 2] = [
    Column::new("digest", Kind::Text),
    Column::new("token_key", Kind::Text),
    Column::new("user_id", Kind::Integer),
    Column::new("created", Kind::Time),
    Column::new("expiry", Kind::Time),
    Users::COLUMNS[0],
    Users::COLUMNS[1],
];
const OWN: usize = 5;

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
