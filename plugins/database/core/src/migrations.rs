//! The form of the database, step by step. A step that was released is never changed: the next one follows.
//!
//! Five tables make up the tokens, by what happens to them:
//!
//! - `tokens`: what a verification needs, by digest. Written once.
//! - `token_details`: what people want to know. Its id is the token's, and is never used again.
//! - `invalid_tokens`: a row for each token that was invalidated. In the order of ids, and apart from `tokens`, whose rows
//!   lie in the order of digests: to invalidate all tokens of an actor would be to rewrite most of its pages.
//! - `token_uses`: when each was last used. Apart for the same reason.
//! - `inactive_actors`: whose tokens are all rejected.
//!
//! On PostgreSQL nothing leads from a time to the tokens that were invalidated then: it would be written twice as long when
//! many are, and read only when old ones are deleted, where one goes through all of them in no time.
//!
//! `items` and `item_sets` are other plugins': bytes by key, and sets of keys.
//!
//! `notices` is where hosts tell each other of changes on SQLite (on PostgreSQL `NOTIFY` does). Which steps were done says
//! `user_version` on SQLite, the table `migrations` on PostgreSQL. Times are Unix seconds; restrictions, policies and extra fields are JSON.

use token_plugin_api::{Migration, Migrations};

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) version: u32,
    pub(crate) title: &'static str,
    /// Statements, each ended by a semicolon.
    pub(crate) sqlite: &'static str,
    /// The same; the schema that they are for is the first in the search path.
    pub(crate) postgres: &'static str,
}

/// The steps that a database of this version lacks.
///
/// # Errors
///
/// When it is of a later one than any that is known.
pub(crate) fn missing(version: u32) -> Result<&'static [Step], String> {
    STEPS.get(version as usize..).ok_or_else(|| {
        let what = format!("it has the schema version {version}, expected at most {VERSION}");
        format!("{what}: a newer version of this program wrote it")
    })
}

/// What is told of the steps that were missing.
pub(crate) fn report(store: &str, from: u32, steps: &[Step]) -> Migrations {
    Migrations::new(store, from, VERSION, steps.iter().map(|step| Migration::new(step.version, step.title)).collect())
}

/// The version that this code needs.
pub(crate) const VERSION: u32 = 2;

/// All steps, in their order.
pub(crate) const STEPS: [Step; VERSION as usize] = [TOKENS, ITEMS];

const ITEMS: Step = Step {
    version: 2,
    title: "items of other plugins",
    sqlite: "
        CREATE TABLE items (
            key BLOB PRIMARY KEY,
            value BLOB NOT NULL,
            version INTEGER NOT NULL,
            expires_at INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX items_expires_at ON items (expires_at) WHERE expires_at IS NOT NULL;
        CREATE TABLE item_sets (
            item_set BLOB NOT NULL,
            member BLOB NOT NULL,
            expires_at INTEGER,
            PRIMARY KEY (item_set, member)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX item_sets_expires_at ON item_sets (expires_at) WHERE expires_at IS NOT NULL;
    ",
    postgres: "
        CREATE TABLE items (
            key bytea PRIMARY KEY,
            value bytea NOT NULL,
            version bigint NOT NULL,
            expires_at bigint
        );
        CREATE INDEX items_expires_at ON items (expires_at) WHERE expires_at IS NOT NULL;
        CREATE TABLE item_sets (
            item_set bytea NOT NULL,
            member bytea NOT NULL,
            expires_at bigint,
            PRIMARY KEY (item_set, member)
        );
        CREATE INDEX item_sets_expires_at ON item_sets (expires_at) WHERE expires_at IS NOT NULL;
    ",
};

const TOKENS: Step = Step {
    version: 1,
    title: "tokens, their details, uses and invalidations; deactivated actors",
    sqlite: "
        CREATE TABLE tokens (
            digest BLOB PRIMARY KEY,
            id INTEGER NOT NULL UNIQUE,
            actor_id TEXT NOT NULL,
            generator_id TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            expires_at INTEGER,
            restrictions TEXT,
            policy TEXT
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX tokens_actor_id ON tokens (actor_id, id);
        CREATE INDEX tokens_expires_at ON tokens (expires_at) WHERE expires_at IS NOT NULL;
        CREATE TABLE token_details (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            hint TEXT NOT NULL,
            updated_at INTEGER NOT NULL,
            note TEXT NOT NULL,
            auto_generated INTEGER NOT NULL,
            extra TEXT
        ) STRICT;
        CREATE TABLE invalid_tokens (
            id INTEGER PRIMARY KEY,
            invalid_at INTEGER NOT NULL,
            reason TEXT NOT NULL
        ) STRICT;
        CREATE INDEX invalid_tokens_invalid_at ON invalid_tokens (invalid_at);
        CREATE TABLE token_uses (
            id INTEGER PRIMARY KEY,
            last_used_at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE inactive_actors (
            actor_id TEXT PRIMARY KEY,
            since INTEGER NOT NULL,
            reason TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE notices (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            what TEXT NOT NULL
        ) STRICT;
    ",
    postgres: r#"
        CREATE TABLE tokens (
            digest bytea PRIMARY KEY,
            id bigint NOT NULL UNIQUE,
            actor_id text COLLATE "C" NOT NULL,
            generator_id text COLLATE "C" NOT NULL,
            created_at bigint NOT NULL,
            expires_at bigint,
            restrictions text,
            policy text
        );
        CREATE INDEX tokens_actor_id ON tokens (actor_id, id);
        CREATE INDEX tokens_expires_at ON tokens (expires_at) WHERE expires_at IS NOT NULL;
        CREATE TABLE token_details (
            id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            hint text NOT NULL,
            updated_at bigint NOT NULL,
            note text NOT NULL,
            auto_generated boolean NOT NULL,
            extra text
        );
        CREATE TABLE invalid_tokens (
            id bigint PRIMARY KEY,
            invalid_at bigint NOT NULL,
            reason text NOT NULL
        );
        CREATE TABLE token_uses (
            id bigint PRIMARY KEY,
            last_used_at bigint NOT NULL
        ) WITH (fillfactor = 80);
        CREATE TABLE inactive_actors (
            actor_id text COLLATE "C" PRIMARY KEY,
            since bigint NOT NULL,
            reason text NOT NULL
        );
    "#,
};
