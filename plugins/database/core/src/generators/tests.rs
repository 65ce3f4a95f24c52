//! The generators, held against real Djblets in both directions; and what they all have to do.

use fastrand::Rng;
use serde_json::{Map, Value, json};
use token_host_tests::{Djblets, skipped};
use token_plugin_api::{PluginErrorKind, TokenGenerator};

use super::*;

fn info(info: Value) -> Map<String, Value> {
    info.as_object().unwrap().clone()
}

fn typed(token_type: &str) -> Value {
    json!({ "token_type": token_type })
}

fn theirs(djblets: &mut Djblets, generator: &str, token_info: &Value, count: usize) -> Vec<String> {
    let question = json!({ "op": "create_tokens", "generator": generator, "token_info": token_info, "count": count });
    serde_json::from_value(djblets.ask(&question)["tokens"].take()).unwrap()
}

/// Whether Djblets says of each token what we say, and how often that is yes.
fn compared(djblets: &mut Djblets, ours: &dyn TokenGenerator, token_info: &Value, tokens: &[String]) -> usize {
    let question =
        json!({ "op": "validate_tokens", "generator": ours.id(), "token_info": token_info, "tokens": tokens });
    let theirs: Vec<bool> = serde_json::from_value(djblets.ask(&question)["answers"].take()).unwrap();
    for (token, theirs) in tokens.iter().zip(&theirs) {
        let ours = ours.validate_token(token, &info(token_info.clone())).unwrap();
        assert_eq!(ours, *theirs, "{token:?} with {token_info}");
    }
    theirs.iter().filter(|good| **good).count()
}

const TYPES: [&str; 5] = ["rbp", "a", "acme_api_2", "x.y-z", "123456789012345678901234567890123456789012345678"];

#[test]
fn vendor_checksum_tokens_of_both_sides() {
    let Some(mut djblets) = skipped("vendor_checksum_tokens_of_both_sides", Djblets::start()) else { return };
    for token_type in TYPES {
        let token_info = typed(token_type);
        let made_there = theirs(&mut djblets, VendorChecksum::ID, &token_info, 500);
        assert_eq!(compared(&mut djblets, &VendorChecksum, &token_info, &made_there), 500, "theirs");
        let made_here: Vec<String> =
            (0..500).map(|_| VendorChecksum.create_token(&info(token_info.clone())).unwrap()).collect();
        assert_eq!(compared(&mut djblets, &VendorChecksum, &token_info, &made_here), 500, "ours");
        assert!(made_there.iter().chain(&made_here).all(|token| VendorChecksum::form(token) == Form::Fine));
        let another = typed("another");
        assert_eq!(compared(&mut djblets, &VendorChecksum, &another, &made_here), 0, "of another type");
    }
}

#[test]
fn types_that_only_djblets_makes_are_known() {
    let Some(mut djblets) = skipped("types_that_only_djblets_makes_are_known", Djblets::start()) else { return };
    for token_type in ["", "_", "tüp", "名前", "a b", "a\nb", &"long".repeat(61)] {
        let token_info = typed(token_type);
        let made_there = theirs(&mut djblets, VendorChecksum::ID, &token_info, 100);
        assert_eq!(compared(&mut djblets, &VendorChecksum, &token_info, &made_there), 100, "{token_type}");
        assert!(made_there.iter().all(|token| VendorChecksum::form(token) == Form::Fine), "{token_type}");
        let error = VendorChecksum.create_token(&info(token_info)).unwrap_err();
        assert_eq!(*error.kind(), PluginErrorKind::InvalidArgument, "{token_type}");
    }
    // As long as a type can be: nothing random is left.
    let token_info = typed(&"x".repeat(248));
    let token = format!("{}_000000", "x".repeat(248));
    assert_eq!(compared(&mut djblets, &VendorChecksum, &token_info, &[token]), 1);
}

#[test]
fn damaged_vendor_checksum_tokens_are_judged_as_djblets_does() {
    let name = "damaged_vendor_checksum_tokens_are_judged_as_djblets_does";
    let Some(mut djblets) = skipped(name, Djblets::start()) else { return };
    let mut random = Rng::with_seed(255);
    let (mut good, mut swapped, mut all) = (0, 0, 0);
    for token_type in TYPES {
        let token_info = typed(token_type);
        let made = theirs(&mut djblets, VendorChecksum::ID, &token_info, 40);
        let old: Vec<String> = made.iter().map(|token| format!("{}{}", &token[..249], swap(&token[249..]))).collect();
        swapped += compared(&mut djblets, &VendorChecksum, &token_info, &old);
        let mut damaged = Vec::new();
        for token in made.iter().chain(&old) {
            damaged.extend((0..20).map(|_| with_damage(token, &mut random)));
        }
        all += damaged.len();
        good += compared(&mut djblets, &VendorChecksum, &token_info, &damaged);
        compared(&mut djblets, &VendorChecksum, &json!({}), &made);
    }
    assert_eq!(swapped, 200, "the checksums of Djblets 3.0 are good on both sides");
    assert!(
        good > 50 && good < all / 4,
        "{good} of {all} are good after all: a letter is sometimes its own substitute"
    );
}

fn swap(text: &str) -> String {
    let swapped = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(swapped).collect()
}

/// A token with something done to it: sometimes nothing that shows.
fn with_damage(token: &str, random: &mut Rng) -> String {
    let place = random.usize(..token.len());
    let (before, after) = (&token[..place], &token[place + 1..]);
    match random.u8(..10) {
        0 => token.to_owned(),
        1 => format!("{before}{after}"),
        2 => format!("{token}{}", random.choice(['0', '\n', ' ', '_', 'ä']).unwrap()),
        3 => format!("{before}ä{after}"),
        4 => swap(token),
        5 => format!("{}{}", &token[..249], token[249..].to_uppercase()),
        6 => format!("{}{}", &token[..249], random.choice(["000000", "______", "ÄÄÄ", "-+ 12,"]).unwrap()),
        7 => format!("{before}_{after}"),
        8 => token[..place].to_owned(),
        _ => format!("{before}{}{after}", random.alphanumeric()),
    }
}

#[test]
fn legacy_sha1_tokens_of_both_sides() {
    let Some(mut djblets) = skipped("legacy_sha1_tokens_of_both_sides", Djblets::start()) else { return };
    let token_info = json!({ "user": { "pk": 1, "password": "hash" }, "attempt": 0 });
    let made_there = theirs(&mut djblets, LegacySha1::ID, &token_info, 50);
    assert_eq!(compared(&mut djblets, &LegacySha1, &json!({}), &made_there), 50);
    let made: Vec<String> = (0..500).map(|_| LegacySha1.create_token(&info(token_info.clone())).unwrap()).collect();
    assert_eq!(compared(&mut djblets, &LegacySha1, &json!({}), &made), 500);
    let mut random = Rng::with_seed(40);
    let mut others: Vec<String> = vec![String::new(), "0".repeat(40), "０".repeat(40), "g".repeat(40), "0".repeat(41)];
    for token in &made {
        let place = random.usize(..40);
        let other = random.choice(["A", "f", "g", "٣", "\n", "", "00"]).unwrap();
        others.push(format!("{}{other}{}", &token[..place], &token[place + 1..]));
        others.push(format!("{token}\n"));
        others.push(token.to_uppercase());
    }
    let good = compared(&mut djblets, &LegacySha1, &json!({}), &others);
    assert!((500..800).contains(&good), "{good} of {} are good after all", others.len());
}

#[test]
fn what_is_missing_is_what_djblets_misses() {
    let Some(mut djblets) = skipped("what_is_missing_is_what_djblets_misses", Djblets::start()) else { return };
    let generators: [&dyn TokenGenerator; 2] = [&VendorChecksum, &LegacySha1];
    for (generator, token_info) in [
        (generators[0], json!({})),
        (generators[0], json!({ "type": "rbp" })),
        (generators[1], json!({})),
        (generators[1], json!({ "attempt": 1 })),
        (generators[1], json!({ "user": { "pk": 1, "password": "hash" } })),
    ] {
        let question =
            json!({ "op": "create_tokens", "generator": generator.id(), "token_info": token_info, "count": 1 });
        let theirs = djblets.ask(&question)["missing"].take();
        let ours = generator.create_token(&info(token_info)).unwrap_err();
        let PluginErrorKind::MissingTokenInfo(key) = ours.kind() else { panic!("{ours}") };
        assert_eq!(theirs, format!("The token_info dictionary must contain a {key} key."));
    }
}

#[test]
fn a_wrong_checksum_is_taken_for_ours_only_where_nothing_else_looks_like_it() {
    let digits = |count: usize| "aB3".repeat(count.div_ceil(3))[..count].to_owned();
    let token = |kind: &str| format!("{kind}_{}", digits(254 - kind.len()));
    assert_eq!(VendorChecksum::form(&token("rbp")), Form::Bad);
    assert_eq!(VendorChecksum::form(&token(&"t".repeat(48))), Form::Bad);
    assert_eq!(VendorChecksum::form(&token(&"t".repeat(49))), Form::NotOurs);
    // A JWT of this very length, whose signature has a `_`.
    let jwt = format!("{}.{}.{}_{}", digits(36), digits(175), digits(20), digits(21));
    assert_eq!((jwt.len(), VendorChecksum::form(&jwt)), (255, Form::NotOurs));
    assert_eq!(VendorChecksum::form("rbp_"), Form::NotOurs);
    assert_eq!(VendorChecksum::form(&"ä".repeat(255)), Form::NotOurs);
}

#[test]
fn hints_tell_tokens_apart_and_do_not_tell_them() {
    let ours = TokenHost::new(Prefix::default()).create_token(&Map::new()).unwrap();
    assert_eq!(hint(&ours), format!("tht_...{}", &ours[49..]));
    let vendor = VendorChecksum.create_token(&info(typed("rbp_2"))).unwrap();
    assert_eq!(hint(&vendor), format!("rbp_...{}", &vendor[251..]));
    let legacy = "0123456789012345678901234567890123456789";
    assert_eq!(hint(legacy), "...6789");
    assert_eq!(hint("dsatok_MQ.x_1234567890123456789012345"), "dsatok_...2345");
    // A `_` that ends no prefix; too short to show anything of it.
    assert_eq!(hint("01234567890123456789012345_678"), "..._678");
    for short in ["", "abc", "a_b", "tht_0123456789", "0123456789012345678", "ääääääää"] {
        assert_eq!(hint(short), "", "{short}");
    }
    assert_eq!(hint(&"ä".repeat(30)), "...ääää");
}
