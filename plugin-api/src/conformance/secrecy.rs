//! [`Confidential`]: what must not show in any text, and whether it does.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use zeroize::Zeroizing;

#[derive(Default)]
pub(super) struct Confidential {
    secrets: Vec<Secret>,
    /// Each with the length of its claim, which everybody knows.
    tokens: BTreeMap<String, usize>,
    /// What may show although it is a part of a token: whom it was made for, the id it is known by.
    told: BTreeSet<String>,
}

struct Secret {
    plain: Zeroizing<String>,
    /// As it is in a JSON string.
    escaped: Zeroizing<String>,
}

impl Confidential {
    pub(super) fn new(resolved: &[Zeroizing<String>]) -> Self {
        let secrets = resolved.iter().filter(|secret| secret.len() >= SECRET_BYTES).map(|plain| {
            // A string can always be written.
            let written = Zeroizing::new(serde_json::to_string(plain.as_str()).unwrap_or_default());
            Secret { plain: plain.clone(), escaped: Zeroizing::new(written.trim_matches('"').to_owned()) }
        });
        Self { secrets: secrets.collect(), ..Self::default() }
    }

    /// These words are not confidential, even as a part of a token.
    pub(super) fn tell<'w>(&mut self, words: impl IntoIterator<Item = &'w str>) {
        for word in words {
            if word.len() >= PIECE_BYTES && !self.told.contains(word) {
                self.told.insert(word.to_owned());
            }
        }
    }

    /// This token is confidential; answers whether that is news.
    pub(super) fn remember(&mut self, token: &str, claim_bytes: usize) -> bool {
        self.tokens.insert(token.to_owned(), claim_bytes).is_none()
    }

    /// What to look for.
    pub(super) fn pieces(&self) -> Pieces<'_> {
        let mut owners = HashMap::new();
        for (number, (token, claim_bytes)) in self.tokens.iter().enumerate() {
            for piece in token.as_bytes()[*claim_bytes..].windows(PIECE_BYTES) {
                match owners.entry(piece) {
                    Entry::Vacant(entry) => {
                        entry.insert(Owner::One(number));
                    }
                    Entry::Occupied(mut entry) if *entry.get() != Owner::One(number) => {
                        entry.insert(Owner::Several);
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        Pieces { confidential: self, owners }
    }
}

/// The pieces of all tokens. What several tokens share is a header or an actor, and keeps nobody out.
pub(super) struct Pieces<'a> {
    confidential: &'a Confidential,
    owners: HashMap<&'a [u8], Owner>,
}

#[derive(PartialEq, Eq)]
enum Owner {
    /// The token of this number.
    One(usize),
    Several,
}

impl Pieces<'_> {
    /// What confidential thing a text quotes; none: nothing.
    pub(super) fn quoted_in(&self, text: &str) -> Option<&'static str> {
        let Confidential { secrets, told, .. } = self.confidential;
        if secrets.iter().any(|secret| text.contains(&*secret.plain) || text.contains(&*secret.escaped)) {
            return Some("a secret of the settings");
        }
        let is_told =
            |piece: &[u8]| told.iter().any(|word| word.as_bytes().windows(PIECE_BYTES).any(|part| part == piece));
        let mut pieces = text.as_bytes().windows(PIECE_BYTES);
        let quotes = pieces.any(|piece| matches!(self.owners.get(piece), Some(Owner::One(_))) && !is_told(piece));
        quotes.then_some("a created token")
    }
}

/// Shorter pieces may be found by chance, or are a date.
const PIECE_BYTES: usize = 12;

/// Shorter secrets are words that are found in many messages.
const SECRET_BYTES: usize = 8;
