//! The tokens that a handler keeps, in memory or in a file.

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use token_plugin_api::{
    ActorPage, Actors, Call, CreateToken, CreatedToken, DeleteTokens, DeletedTokens, Expires, ImportTokens,
    ImportedTokens, InactiveActor, InvalidateTokens, InvalidatedTokens, ListActors, Migrate, Migration, Migrations,
    PluginError, Result, SetActors, TokenFilter, TokenPage, TokenRecord, TokenSelector, UpdateToken,
};

use crate::settings::{self, Pages};

/// What is kept: each token's value is its id.
pub(crate) struct Store {
    kind: settings::Store,
    pages: Pages,
    page_size: usize,
    memory: Mutex<Kept>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    version: u32,
    /// In the order of their creation.
    tokens: Vec<TokenRecord>,
    inactive: Vec<InactiveActor>,
}

/// The version that it wants its file to have, step by step.
const STEPS: [&str; 2] = ["tokens", "\u{1b}[31mactors"];

impl Store {
    pub(crate) fn new(kind: settings::Store, pages: Pages, page_size: usize) -> Self {
        Self { kind, pages, page_size, memory: Mutex::default() }
    }

    /// The token that is kept in place of this one; a handler that keeps none answers with it.
    pub(crate) fn keep(&self, call: &Call<'_>, request: &CreateToken, created: CreatedToken) -> Result<CreatedToken> {
        if matches!(self.kind, settings::Store::None | settings::Store::Fail) {
            return Ok(created);
        }
        self.with("create_token", |kept| {
            let id = format!("kept-{}", kept.tokens.len() + 1);
            let mut record = TokenRecord::new(&id, &request.actor_id, call.now());
            record.note.clone_from(&request.details().note);
            kept.tokens.push(record);
            Ok(CreatedToken::new(&id).with_id(&id))
        })
    }

    pub(crate) fn list(&self, call: &Call<'_>, filter: &TokenFilter) -> Result<TokenPage> {
        self.with("list_tokens", |kept| {
            let meant = kept.tokens.iter().filter(|record| is_meant(record, filter, call.now())).cloned();
            let (tokens, next) = self.page(meant.collect(), filter.after.as_deref(), filter.limit)?;
            Ok(TokenPage::new(tokens, next))
        })
    }

    pub(crate) fn find(&self, call: &Call<'_>, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        self.with("get_token", |kept| {
            Ok(kept.tokens.iter().find(|record| is_selected(record, token, call.now())).cloned())
        })
    }

    pub(crate) fn invalidate(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        self.with("invalidate_tokens", |kept| {
            let is_one = |record: &TokenRecord| record.valid && is_selected(record, &request.tokens, call.now());
            let invalidated = kept.tokens.iter_mut().filter(|record| is_one(record)).map(|record| {
                record.valid = false;
                record.invalid_at = Some(call.now());
                record.invalid_reason = Some(request.reason.clone());
                (record.id.clone(), record.actor_id.clone())
            });
            Ok(InvalidatedTokens::new(invalidated))
        })
    }

    pub(crate) fn update(&self, call: &Call<'_>, request: &UpdateToken) -> Result<TokenRecord> {
        self.with("update_token", |kept| {
            let record = kept.tokens.iter_mut().find(|record| is_selected(record, &request.token, call.now()));
            let record = record.ok_or_else(|| PluginError::not_found("token"))?;
            record.updated_at = Some(call.now());
            if request.note.is_some() {
                record.note.clone_from(&request.note);
            }
            if let Some(policy) = &request.policy {
                record.policy = Some(policy.clone()).filter(|policy| !policy.is_null());
            }
            record.valid = request.valid.unwrap_or(record.valid);
            match request.expires {
                None => {}
                Some(Expires::Never) => record.expires_at = None,
                Some(Expires::At(at)) => record.expires_at = Some(at),
            }
            Ok(record.clone())
        })
    }

    pub(crate) fn delete(&self, request: &DeleteTokens) -> Result<DeletedTokens> {
        self.with("delete_tokens", |kept| {
            let has_ended = |record: &TokenRecord| {
                [record.invalid_at, record.expires_at].into_iter().flatten().any(|at| at < request.ended_before)
            };
            let count = kept.tokens.iter().filter(|record| has_ended(record)).count();
            if !request.dry_run {
                kept.tokens.retain(|record| !has_ended(record));
            }
            Ok(DeletedTokens::new(count as u64))
        })
    }

    /// From a file of tokens. Those without an actor are skipped.
    pub(crate) fn import(&self, request: &ImportTokens) -> Result<ImportedTokens> {
        self.with("import_tokens", |kept| {
            let foreign: Vec<TokenRecord> =
                serde_json::from_slice(&fs::read(&request.from)?).map_err(PluginError::failed)?;
            let mut answer = ImportedTokens::default();
            answer.total = foreign.len() as u64;
            let (part, next) = self.page(foreign, request.after.as_deref(), None)?;
            (answer.read, answer.next) = (part.len() as u64, next);
            for record in part {
                if record.actor_id == "fail" && !request.dry_run {
                    return Err(PluginError::failed("it was told to fail"));
                } else if record.actor_id.is_empty() {
                    answer.skipped += 1;
                    answer.notes.push(format!("row {}: \u{1b}[2Jno actor", record.id));
                } else if kept.tokens.iter().any(|there| there.id == record.id) {
                    answer.present += 1;
                } else {
                    answer.imported += 1;
                    kept.tokens.extend((!request.dry_run).then_some(record));
                }
            }
            Ok(answer)
        })
    }

    pub(crate) fn set_actors(&self, call: &Call<'_>, request: &SetActors) -> Result<Vec<InactiveActor>> {
        self.with("set_actors", |kept| {
            let is_named = |actor: &InactiveActor| request.actors.contains(&actor.actor_id);
            if request.active {
                return Ok(kept.inactive.extract_if(.., |actor| is_named(actor)).collect());
            }
            let is_new = |id: &&String| !kept.inactive.iter().any(|actor| actor.actor_id == **id);
            let inactive = |id| InactiveActor::new(id, call.now(), &request.reason);
            let changed: Vec<InactiveActor> = request.actors.iter().filter(is_new).map(inactive).collect();
            kept.inactive.extend(changed.iter().cloned());
            Ok(changed)
        })
    }

    pub(crate) fn list_actors(&self, request: &ListActors) -> Result<ActorPage> {
        self.with("list_inactive_actors", |kept| {
            let (actors, next) = self.page(kept.inactive.clone(), request.after.as_deref(), request.limit)?;
            Ok(ActorPage::new(actors, next))
        })
    }

    pub(crate) fn migrate(&self, request: Migrate) -> Result<Migrations> {
        self.with("migrate", |kept| {
            let from = kept.version;
            let to = STEPS.len() as u32;
            let steps = (1..=to).zip(STEPS).filter(|(version, _)| *version > from);
            if !request.check {
                kept.version = to;
            }
            let steps = steps.map(|(version, title)| Migration::new(version, title)).collect();
            Ok(Migrations::new("the hostile store", from, to, steps))
        })
    }

    /// What is kept, to be read and changed.
    fn with<T>(&self, operation: &'static str, act: impl FnOnce(&mut Kept) -> Result<T>) -> Result<T> {
        let mut kept = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.kind {
            settings::Store::None => Err(PluginError::unsupported(operation)),
            settings::Store::Fail => Err(PluginError::failed("it was told to fail")),
            settings::Store::Memory => act(&mut kept),
            settings::Store::KeptIn(path) => {
                *kept = read(path)?;
                let answer = act(&mut kept)?;
                fs::write(path, serde_json::to_vec(&*kept).map_err(PluginError::failed)?)?;
                Ok(answer)
            }
        }
    }

    /// A part of these, and where the next one begins: or what it was told to say.
    fn page<T>(&self, all: Vec<T>, after: Option<&str>, limit: Option<u32>) -> Result<(Vec<T>, Option<String>)> {
        let size = limit.map_or(self.page_size, |limit| self.page_size.min(limit as usize));
        let begin = match (&self.pages, after) {
            (Pages::End, Some(after)) => after.trim_start_matches(CURSOR).parse().map_err(|_| {
                PluginError::invalid_argument("it was asked for what stands behind a place that it does not know")
            })?,
            _ => 0,
        };
        let end = begin + size;
        let next = match self.pages {
            Pages::End => (end < all.len()).then(|| format!("{CURSOR}{end}")),
            Pages::Same => Some("same".to_owned()),
            Pages::Circle => Some(if after == Some("left") { "right" } else { "left" }.to_owned()),
        };
        Ok((all.into_iter().skip(begin).take(size).collect(), next))
    }
}

/// What places in a listing begin with: nothing that a shell or an option parser takes as it is.
const CURSOR: &str = "- ";

fn read(path: &Path) -> Result<Kept> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(PluginError::failed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(error.into()),
    }
}

fn is_selected(record: &TokenRecord, selector: &TokenSelector, now: u64) -> bool {
    match selector {
        TokenSelector::Token(id) | TokenSelector::Id(id) => record.id == *id,
        TokenSelector::Filter(filter) => is_meant(record, filter, now),
        _ => false,
    }
}

fn is_meant(record: &TokenRecord, filter: &TokenFilter, now: u64) -> bool {
    let whose = match &filter.actors {
        Actors::Everyone => true,
        Actors::These(ids) => ids.contains(&record.actor_id),
        _ => false,
    };
    let note = record.note.as_deref().unwrap_or_default();
    let policy = record.policy.as_ref().unwrap_or(&Value::Null);
    let last_seen = record.last_used_at.or(record.created_at).unwrap_or_default();
    let has_expired = record.expires_at.is_some_and(|at| now >= at);
    whose
        && filter.token_generator_id.as_ref().is_none_or(|id| record.token_generator_id.as_ref() == Some(id))
        && filter.note_contains.as_ref().is_none_or(|text| note.contains(text.as_str()))
        && filter.policy.as_ref().is_none_or(|wanted| policy == wanted)
        && filter.created_before.is_none_or(|before| record.created_at.is_some_and(|at| at < before))
        && filter.unused_since.is_none_or(|since| last_seen < since)
        && filter.expired.is_none_or(|expired| expired == has_expired)
        && filter.valid.is_none_or(|valid| valid == record.valid)
}
