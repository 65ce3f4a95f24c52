//! Families: which tokens are good together, and that none are any more.

use token_plugin_api::{ACCESS_TOKEN, PluginError, Result};

use super::{Kept, REMEMBERED_SECONDS, TRIES, UNKNOWN_FAMILY_SECONDS, crowded, of_another_kind};
use crate::items::{FamilyRecord, Item, Key, Kind, Next, Proof, Stored};

/// How many tokens of one family may be good at once: a client that gets more without giving old ones back is at fault.
const MAX_MEMBERS: usize = 64;

/// What is to change in a family.
#[derive(Debug)]
pub(super) struct Members<'k> {
    pub(super) gone: &'k [Key],
    pub(super) new: &'k [Key],
    /// When the last of the new ones expires; `None`: never.
    pub(super) until: Option<u64>,
}

pub(super) fn family(id: &str) -> Key {
    Key::new(Kind::Family, [id])
}

impl Kept {
    /// Names new tokens in a family, in the place of old ones.
    ///
    /// # Errors
    ///
    /// Not found, when it was revoked.
    pub(super) async fn name_in_family(&self, id: &str, change: &Members<'_>) -> Result<()> {
        let key = family(id);
        for _ in 0..TRIES {
            let now = self.now();
            let done = match self.family(key, now).await? {
                None => {
                    let live = FamilyRecord::Live { members: change.new.to_vec(), until: change.until };
                    self.items.add(key, Stored::Family(live), change.until, now).await?
                }
                Some((FamilyRecord::Revoked { .. }, _)) => return Err(PluginError::not_found(ACCESS_TOKEN)),
                Some((FamilyRecord::Live { mut members, until }, proof)) => {
                    members.retain(|member| !change.gone.contains(member) && !change.new.contains(member));
                    members.extend_from_slice(change.new);
                    if members.len() > MAX_MEMBERS {
                        return Err(PluginError::invalid_argument(format!("the family has {MAX_MEMBERS} tokens")));
                    }
                    let until = until.zip(change.until).map(|(old, new)| old.max(new));
                    let next = Next::Is(Stored::Family(FamilyRecord::Live { members, until }), until);
                    self.items.swap(key, proof, next, now).await?
                }
            };
            if done {
                return Ok(());
            }
        }
        Err(crowded())
    }

    /// Revokes a family; which of its tokens were there.
    ///
    /// It is known to be revoked for as long as any of its tokens might be used. Cut short, this can be done again: the
    /// tokens that are to be removed stand in what says that it is revoked.
    pub(super) async fn end_family(&self, id: &str) -> Result<Vec<Key>> {
        let key = family(id);
        for _ in 0..TRIES {
            let now = self.now();
            let read = self.family(key, now).await?;
            let (members, until) = match &read {
                // Nothing is known of its tokens: of a code that is about to be exchanged, or of what a cache has lost.
                None => (Vec::new(), Some(now.saturating_add(UNKNOWN_FAMILY_SECONDS))),
                Some((FamilyRecord::Revoked { members }, _)) => return self.remove_all(members).await,
                Some((FamilyRecord::Live { members, until }, _)) => {
                    (members.clone(), until.map(|until| until.max(now.saturating_add(REMEMBERED_SECONDS))))
                }
            };
            let revoked = Stored::Family(FamilyRecord::Revoked { members: members.clone() });
            let is_done = match read {
                None => self.items.add(key, revoked, until, now).await?,
                Some((_, proof)) => self.items.swap(key, proof, Next::Is(revoked, until), now).await?,
            };
            if is_done {
                return self.remove_all(&members).await;
            }
        }
        Err(crowded())
    }

    /// Removes items; which of them were there.
    pub(super) async fn remove_all(&self, keys: &[Key]) -> Result<Vec<Key>> {
        let mut removed = Vec::new();
        for key in keys {
            if self.items.remove(*key, self.now()).await? {
                removed.push(*key);
            }
        }
        Ok(removed)
    }

    async fn family(&self, key: Key, now: u64) -> Result<Option<(FamilyRecord, Proof)>> {
        let Some(Item { stored, proof }) = self.items.get(key, now).await? else { return Ok(None) };
        match &*stored {
            Stored::Family(family) => Ok(Some((family.clone(), proof))),
            _ => Err(of_another_kind()),
        }
    }
}
