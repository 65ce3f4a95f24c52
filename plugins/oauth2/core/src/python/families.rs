//! Families: which tokens are good together, and that none are any more. That library knows of none.

use serde::{Deserialize, Serialize};
use token_plugin_api::{ACCESS_TOKEN, PluginError, Result};

use super::{Python, REMEMBERED_SECONDS, TRIES, crowded, json::to_json};
use crate::{
    items::{Key, Kind},
    store::UNKNOWN_FAMILY_SECONDS,
};

/// How many tokens of one family may be good at once: a client that gets more without giving old ones back is at fault.
const MAX_MEMBERS: usize = 64;

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Family {
    /// Until all of its members have expired.
    Live { members: Vec<Member>, until: Option<u64> },
    /// Nothing can be added to it. These were its tokens: whoever revoked it may not have come to remove them all.
    Revoked { members: Vec<Member> },
}

/// A token of a family, by its value, as all of this layout is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Member {
    Access(String),
    Refresh(String),
}

fn family_key(id: &str) -> Key {
    Key::new(Kind::Family, [id])
}

impl Python {
    /// Names new tokens in a family, in the place of old ones.
    ///
    /// # Errors
    ///
    /// Not found, when it was revoked.
    pub(super) async fn name_in_family(
        &self,
        id: &str,
        gone: &[Member],
        new: &[Member],
        until: Option<u64>,
    ) -> Result<()> {
        let key = self.ours(family_key(id));
        for _ in 0..TRIES {
            let done = match self.read(key.clone()).await? {
                None => {
                    let live = Family::Live { members: new.to_vec(), until };
                    self.values.add(key.clone(), to_json(&live)?, self.life(until)).await?
                }
                Some((Family::Revoked { .. }, _)) => return Err(PluginError::not_found(ACCESS_TOKEN)),
                Some((Family::Live { mut members, until: old }, proof)) => {
                    members.retain(|member| !gone.contains(member) && !new.contains(member));
                    members.extend_from_slice(new);
                    if members.len() > MAX_MEMBERS {
                        return Err(PluginError::invalid_argument(format!("the family has {MAX_MEMBERS} tokens")));
                    }
                    let until = old.zip(until).map(|(old, new)| old.max(new));
                    let live = to_json(&Family::Live { members, until })?;
                    self.values.swap(key.clone(), proof, Some((live, self.life(until)))).await?
                }
            };
            if done {
                return Ok(());
            }
        }
        Err(crowded())
    }

    /// Revokes a family, and removes its tokens. Cut short, this can be done again.
    pub(super) async fn end_family(&self, id: &str) -> Result<()> {
        let key = self.ours(family_key(id));
        for _ in 0..TRIES {
            let (now, read) = (self.now(), self.read(key.clone()).await?);
            let (members, until) = match &read {
                None => (Vec::new(), Some(now.saturating_add(UNKNOWN_FAMILY_SECONDS))),
                Some((Family::Revoked { members }, _)) => return self.remove_all(members).await,
                Some((Family::Live { members, until }, _)) => {
                    (members.clone(), until.map(|until| until.max(now.saturating_add(REMEMBERED_SECONDS))))
                }
            };
            let (revoked, life) = (to_json(&Family::Revoked { members: members.clone() })?, self.life(until));
            let is_done = match read {
                None => self.values.add(key.clone(), revoked, life).await?,
                Some((_, proof)) => self.values.swap(key.clone(), proof, Some((revoked, life))).await?,
            };
            if is_done {
                return self.remove_all(&members).await;
            }
        }
        Err(crowded())
    }

    pub(super) async fn remove_all(&self, members: &[Member]) -> Result<()> {
        for member in members {
            match member {
                Member::Access(token) => _ = self.remove_access(token).await?,
                Member::Refresh(refresh_token) => _ = self.values.remove(self.theirs(refresh_token)).await?,
            }
        }
        Ok(())
    }
}
