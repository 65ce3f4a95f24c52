//! [`ClaimIndex`]: which handlers are to see a token, at a cost that does not grow with their number.

use rustc_hash::FxHashMap;

/// For each token the handlers that claim it, in call order.
///
/// Of all claimed prefixes the longest that a token starts with decides: the handlers of that
/// prefix, of all shorter ones it starts with, and those that claim every token, were merged for it
/// when the index was built. A look-up costs one hash for each distinct length of prefix.
///
/// The hash is not keyed: what is hashed with attackers' bytes is only looked up, never inserted.
#[derive(Debug, Default)]
pub(crate) struct ClaimIndex {
    /// Longest prefixes first.
    by_length: Vec<(usize, OfOneLength)>,
    /// For tokens with none of the prefixes.
    unclaimed: Box<[usize]>,
}

/// The handlers' places for each prefix of one length.
type OfOneLength = FxHashMap<Box<[u8]>, Box<[usize]>>;

impl ClaimIndex {
    /// Builds the index from the handlers' claims in call order; no claims: every token.
    pub(crate) fn new<'a>(claims: impl IntoIterator<Item = &'a [String]>) -> Self {
        let claims: Vec<&[String]> = claims.into_iter().collect();
        let seeing = |sees: &dyn Fn(&str) -> bool| -> Box<[usize]> {
            let sees = |list: &&[String]| list.is_empty() || list.iter().any(|claim| sees(claim));
            claims.iter().enumerate().filter(|(_, list)| sees(list)).map(|(place, _)| place).collect()
        };
        let mut by_length: Vec<(usize, OfOneLength)> = Vec::new();
        for prefix in claims.iter().copied().flatten() {
            let at = by_length.binary_search_by(|(length, _)| prefix.len().cmp(length));
            let at = at.unwrap_or_else(|at| {
                by_length.insert(at, (prefix.len(), FxHashMap::default()));
                at
            });
            let handlers = || seeing(&|claim| prefix.starts_with(claim));
            by_length[at].1.entry(prefix.as_bytes().into()).or_insert_with(handlers);
        }
        Self { by_length, unclaimed: seeing(&|_| false) }
    }

    /// The places, in call order, of the handlers that are to see this token.
    pub(crate) fn candidates(&self, token: &str) -> &[usize] {
        let token = token.as_bytes();
        let claimed = self.by_length.iter().find_map(|(length, prefixes)| prefixes.get(token.get(..*length)?));
        claimed.unwrap_or(&self.unclaimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_asking_each_handler_for_its_claims() {
        let lists: Vec<Vec<String>> = [&["ab"][..], &[], &["a", "zz"], &["abc", "ab"], &["b"], &["é"]]
            .iter()
            .map(|list| list.iter().map(ToString::to_string).collect())
            .collect();
        let index = ClaimIndex::new(lists.iter().map(Vec::as_slice));
        for token in ["", "a", "ab", "abc", "abcd", "abd", "b", "bab", "z", "zz", "zzz", "c", "é", "éa", "è"] {
            let expected: Vec<usize> = (0..lists.len())
                .filter(|&i| lists[i].is_empty() || lists[i].iter().any(|claim| token.starts_with(claim.as_str())))
                .collect();
            assert_eq!(index.candidates(token), expected, "{token:?}");
        }
    }
}
