//! [`ClaimIndex`]: which handlers are to see a token, at a cost that does not grow with their number.

use rustc_hash::FxHashMap;

/// For each token the handlers that claim it, in call order.
///
/// Of all claimed prefixes the longest that a token starts with decides: the handlers of that
/// prefix, of all shorter ones it starts with, and those that claim every token, were merged for it
/// when the index was built. A look-up costs one hash, of as many bytes as the shortest claim has,
/// and a binary search among the few claims that begin so.
///
/// The hash is not keyed: what is hashed with attackers' bytes is only looked up, never inserted.
#[derive(Debug, Default)]
pub(crate) struct ClaimIndex {
    /// The length of the shortest claim, in bytes.
    key_bytes: usize,
    /// The claims that begin with a key, sorted.
    by_key: FxHashMap<Box<[u8]>, Vec<Claim>>,
    /// For tokens with none of the prefixes.
    unclaimed: Box<[usize]>,
}

#[derive(Debug)]
struct Claim {
    prefix: Box<[u8]>,
    /// The places of the handlers that are to see tokens of which this is the longest claimed prefix.
    handlers: Box<[usize]>,
    /// Where the longest claim stands that this one starts with.
    shorter: Option<usize>,
}

impl ClaimIndex {
    /// Builds the index from the handlers' claims in call order; no claims: every token.
    pub(crate) fn new<'a>(claims: impl IntoIterator<Item = &'a [String]>) -> Self {
        let claims: Vec<&[String]> = claims.into_iter().collect();
        let seeing = |sees: &dyn Fn(&str) -> bool| -> Box<[usize]> {
            let sees = |list: &&[String]| list.is_empty() || list.iter().any(|claim| sees(claim));
            claims.iter().enumerate().filter(|(_, list)| sees(list)).map(|(place, _)| place).collect()
        };
        let mut prefixes: Vec<&str> = claims.iter().copied().flatten().map(String::as_str).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let key_bytes = prefixes.iter().map(|prefix| prefix.len()).min().unwrap_or(0);
        let mut by_key: FxHashMap<Box<[u8]>, Vec<Claim>> = FxHashMap::default();
        for prefix in prefixes {
            let handlers = seeing(&|claim| prefix.starts_with(claim));
            let prefix = prefix.as_bytes();
            let bucket = by_key.entry(prefix[..key_bytes].into()).or_default();
            let shorter = bucket.iter().rposition(|claim| prefix.starts_with(&claim.prefix));
            bucket.push(Claim { prefix: prefix.into(), handlers, shorter });
        }
        Self { key_bytes, by_key, unclaimed: seeing(&|_| false) }
    }

    /// The places, in call order, of the handlers that are to see this token.
    pub(crate) fn candidates(&self, token: &str) -> &[usize] {
        self.claimed(token.as_bytes()).unwrap_or(&self.unclaimed)
    }

    fn claimed(&self, token: &[u8]) -> Option<&[usize]> {
        let bucket = self.by_key.get(token.get(..self.key_bytes)?)?;
        if let [only] = bucket.as_slice() {
            // The usual case; where the claim is no longer than its key, it was compared with the token already.
            let claims = only.prefix.len() == self.key_bytes || token.starts_with(&only.prefix);
            return claims.then_some(&*only.handlers);
        }
        // Whatever prefix of the token is claimed sorts before it, and what lies between starts with that prefix too:
        // so it is found by going from the last claim that is not behind the token to ever shorter ones.
        let behind = bucket.partition_point(|claim| *claim.prefix <= *token);
        let mut claim = bucket.get(behind.checked_sub(1)?)?;
        while !token.starts_with(&claim.prefix) {
            claim = bucket.get(claim.shorter?)?;
        }
        Some(&claim.handlers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lists: &[&[&str]], tokens: &[&str]) {
        let lists: Vec<Vec<String>> = lists.iter().map(|list| list.iter().map(ToString::to_string).collect()).collect();
        let index = ClaimIndex::new(lists.iter().map(Vec::as_slice));
        for token in tokens {
            let expected: Vec<usize> = (0..lists.len())
                .filter(|&i| lists[i].is_empty() || lists[i].iter().any(|claim| token.starts_with(claim.as_str())))
                .collect();
            assert_eq!(index.candidates(token), expected, "{token:?}");
        }
    }

    #[test]
    fn agrees_with_asking_each_handler_for_its_claims() {
        let tokens =
            ["", "a", "ab", "abc", "abcd", "abd", "abz", "ac", "b", "bab", "z", "zz", "zzz", "c", "é", "éa", "è"];
        check(&[&["ab"], &[], &["a", "zz"], &["abc", "ab"], &["b"], &["é"]], &tokens);
        check(&[&["abc"], &["abcd"], &["abb"], &["abcdef"]], &["ab", "abb", "abc", "abcde", "abcdef", "abcdeg", "abd"]);
        check(&[&[]], &tokens);
        check(&[], &tokens);
    }
}
