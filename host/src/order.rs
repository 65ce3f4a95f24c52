//! The order law: in which order pluggy 1.7 calls what was registered.
//!
//! Implementations are called last registered first; `tryfirst` ones before all others (among
//! these, last registered first); `trylast` ones after all others (among these, the last registered
//! is the very last); wrappers around all of them, by the same rule. With both flags set `trylast`
//! counts, except that what is registered later without flags still goes behind it.
//!
//! Nothing in here knows of plugins, files or configuration.

/// One implementation of a hook, as it was registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Registration {
    /// What messages call it. Has no part in the order.
    pub name: String,
    /// Call it before others.
    pub tryfirst: bool,
    /// Call it after others.
    pub trylast: bool,
    /// It runs around the others (pluggy's `wrapper=True`).
    pub wrapper: bool,
}

/// The call order of these registrations, given in the order of their registration: indices into
/// the slice, wrappers first (the outermost first).
///
/// ```
/// use token_host::order::{Registration, call_order};
///
/// let named = |name: &str| Registration { name: name.to_owned(), ..Registration::default() };
/// let registered = [named("a"), Registration { tryfirst: true, ..named("b") }, named("c")];
/// assert_eq!(call_order(&registered), [1, 2, 0]);
/// ```
pub fn call_order(registrations: &[Registration]) -> Vec<usize> {
    let order_of = |wrapper: bool| {
        // pluggy keeps its implementations in reverse call order and inserts each in turn.
        let mut reverse: Vec<usize> = Vec::new();
        for (index, registration) in registrations.iter().enumerate().filter(|(_, r)| r.wrapper == wrapper) {
            let place = if registration.trylast {
                0
            } else if registration.tryfirst {
                reverse.len()
            } else {
                let behind = reverse.iter().rposition(|&earlier| !registrations[earlier].tryfirst);
                behind.map_or(0, |position| position + 1)
            };
            reverse.insert(place, index);
        }
        reverse.reverse();
        reverse
    };
    let mut order = order_of(true);
    order.extend(order_of(false));
    order
}

/// `1st`, `2nd`, `3rd`, `4th`: how messages say a place, counted from 0.
pub fn ordinal(index: usize) -> String {
    let place = index + 1;
    let ending = match (place % 10, place % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{place}{ending}")
}
