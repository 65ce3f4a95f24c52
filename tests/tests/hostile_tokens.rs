//! Malformed and hostile tokens: always one answer a line, never "accepted", and the next line is served.

use serde_json::{Value, json};
use token_host_tests::{Dialog, SECRET, Scratch, compressed, forge, forge_encoded, now, plain};

fn signed() -> Scratch {
    let mut scratch = Scratch::new();
    scratch.signed("");
    scratch
}

fn good() -> String {
    forge(SECRET, json!({ "a": "root", "t": now() }).to_string())
}

/// A verifier that is known to accept what is good, before and after each bad token.
struct Gate(Dialog, #[expect(dead_code, reason = "the folder has to live as long as the process")] Scratch);

impl Gate {
    fn new(scratch: Scratch) -> Self {
        Self(scratch.verifier(), scratch)
    }

    fn ask(&mut self, token: impl AsRef<[u8]>) -> Value {
        let answer = self.0.ask(token.as_ref());
        assert_eq!(self.0.ask(good().as_bytes())["status"], "accepted", "the next line is served");
        answer
    }

    /// The signed plugin, and nobody else, says why.
    fn rejected(&mut self, token: &str, why: &str) {
        let answer = self.ask(token);
        assert_eq!((&answer["status"], &answer["handler"]), (&json!("rejected"), &json!("signed")), "{why}: {answer}");
        assert!(answer["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{why}: {answer}");
        assert!(token.len() < 40 || !answer.to_string().contains(&token[10..40]), "{why}: {answer}");
    }
}

#[test]
fn lines_that_are_hardly_tokens() {
    let mut gate = Gate::new(signed());
    assert_eq!(gate.ask("")["status"], "not_recognized", "an empty line is a token, too");
    for line in [" ", "\0", "dstok", "DSTOK_x.y", " dstok_a.b", "null", "{}"] {
        assert_eq!(gate.ask(line)["status"], "not_recognized", "{line:?}");
    }
    let million = "dstok_".to_owned() + &"x".repeat(1024 * 1024);
    let answer = gate.ask(&million);
    assert_eq!((&answer["status"], &answer["reason"]), (&json!("rejected"), &json!("token is longer than 8192 bytes")));
    assert!(answer.to_string().len() < 200, "the answer does not repeat it");
    for bytes in [b"dstok_\xff\xfe.x".as_slice(), b"\xc3", b"\x80abc"] {
        assert_eq!(gate.ask(bytes)["status"], "rejected", "not UTF-8: {}", bytes.escape_ascii());
    }
    for token in ["dstok_", "dstok_.", "dstok_..", "dstok_a", "dstok_a.", "dstok_.a", "dstok_\0.\0", "dstok_a.b.c"] {
        gate.rejected(token, token);
    }
    gate.rejected(&"dstok_😀.é".repeat(3), "letters that are no base64");
}

#[test]
fn a_token_of_just_the_longest_length_is_still_read() {
    let mut gate = Gate::new(signed());
    let payload = |filler: usize| json!({ "a": "root", "t": now(), "x": "y".repeat(filler) }).to_string();
    let longest = (5_900..6_200).map(|filler| forge(SECRET, payload(filler))).rfind(|token| token.len() <= 8192);
    assert_eq!(gate.ask(longest.unwrap())["status"], "accepted");
    let answer = gate.ask(forge(SECRET, payload(6_200)));
    assert_eq!(answer["reason"], "token is longer than 8192 bytes");
}

#[test]
fn no_token_survives_a_flipped_bit() {
    let token = forge(SECRET, json!({ "a": "root", "t": now(), "d": 3600 }).to_string());
    let (mut input, mut count) = (Vec::new(), 0);
    for place in 0..token.len() {
        for bit in 0..8 {
            let mut bytes = token.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            if bytes[place] != b'\n' {
                input.extend(bytes);
                input.push(b'\n');
                count += 1;
            }
        }
    }
    input.extend(token.bytes());
    let answers = signed().feed(["verify", "-"], &input).json_lines();
    assert_eq!(answers.len(), count + 1);
    let accepted: Vec<usize> = (0..answers.len()).filter(|&at| answers[at]["status"] == "accepted").collect();
    assert_eq!(accepted, [count], "only the untouched one, which is the last");
    let statuses = answers[..count].iter().map(|answer| answer["status"].as_str().unwrap());
    assert!(statuses.clone().all(|status| status == "rejected" || status == "not_recognized"));
    assert!(statuses.filter(|status| *status == "rejected").count() > count / 2);
}

#[test]
fn only_the_canonical_spelling_is_accepted() {
    let mut gate = Gate::new(signed());
    // Of a length at which the payload's last letter has unused bits, too.
    let payloads = (0..3).map(|more| plain(json!({ "a": "root", "t": now(), "x": "y".repeat(more) }).to_string()));
    let payload = payloads.into_iter().find(|payload| payload.len() % 4 == 3).unwrap();
    let token = forge_encoded(SECRET, &payload);
    assert_eq!(gate.ask(&token)["status"], "accepted");
    let (body, signature) = token.rsplit_once('.').unwrap();
    for spelling in respelled(signature) {
        gate.rejected(&format!("{body}.{spelling}"), "another spelling of the same signature");
    }
    for (spelling, what) in [
        (format!("{token}="), "padding"),
        (format!("{token}=="), "padding"),
        (format!("{token} "), "a space behind"),
        (format!("{token}\t"), "a tab behind"),
        (format!("{body}. {signature}"), "a space within"),
        (format!("{body}=.{signature}"), "padding of the payload"),
        (format!("{body}..{signature}"), "a dot too many"),
        (body.to_owned(), "no signature"),
        (format!("{body}."), "an empty signature"),
        (format!("{body}.{}", &signature[..26]), "a shorter signature"),
        (format!("{body}.{signature}A"), "a longer signature"),
        (format!("{body}.{}", "A".repeat(27)), "a signature of zeros"),
        (token.replace("dstok_", "dstok_dstok_"), "the prefix twice"),
    ] {
        gate.rejected(&spelling, what);
    }
    // The payload spelt otherwise, and signed like that: only who has the secret can do it, and has no reason to.
    for spelling in respelled(&payload).into_iter().chain([format!("{payload}="), payload.replacen('e', "e ", 1)]) {
        gate.rejected(&forge_encoded(SECRET, &spelling), "a payload that is spelt otherwise");
    }
}

/// The other last letters that decode to the same bytes.
fn respelled(base64: &str) -> Vec<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let unused_bits = match base64.len() % 4 {
        2 => 4,
        3 => 2,
        _ => 0,
    };
    let (rest, last) = base64.split_at(base64.len() - 1);
    let place = ALPHABET.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    let others = (0..1 << unused_bits).map(|bits| place >> unused_bits << unused_bits | bits);
    let spelt = others.filter(|other| *other != place).map(|other| format!("{rest}{}", char::from(ALPHABET[other])));
    let spelt: Vec<String> = spelt.collect();
    assert!(!spelt.is_empty());
    spelt
}

#[test]
fn the_standard_alphabet_is_another_spelling() {
    let mut gate = Gate::new(signed());
    let respelt = |token: &str| token[6..].replace('-', "+").replace('_', "/");
    let tokens = (0..).map(|salt| forge(SECRET, json!({ "a": format!("root{salt}"), "t": now() }).to_string()));
    let token = tokens.into_iter().find(|token| token[6..].contains(['-', '_'])).unwrap();
    assert_eq!(gate.ask(&token)["status"], "accepted");
    gate.rejected(&format!("dstok_{}", respelt(&token)), "the standard alphabet");
}

#[test]
fn payloads_that_are_signed_and_make_no_sense() {
    let mut gate = Gate::new(signed());
    let t = now();
    for payload in [
        String::new(),
        " ".to_owned(),
        "nonsense".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "1".to_owned(),
        "\"text\"".to_owned(),
        "[]".to_owned(),
        format!(r#"["a","root","t",{t}]"#),
        "{}".to_owned(),
        format!(r#"{{"t":{t}}}"#),
        r#"{"a":"root"}"#.to_owned(),
        format!(r#"{{"a":null,"t":{t}}}"#),
        format!(r#"{{"a":["root"],"t":{t}}}"#),
        r#"{"a":"root","t":null}"#.to_owned(),
        format!(r#"{{"a":"root","t":"{t}"}}"#),
        format!(r#"{{"a":"root","t":{t}.5}}"#),
        r#"{"a":"root","t":-1}"#.to_owned(),
        r#"{"a":"root","t":1e308}"#.to_owned(),
        r#"{"a":"root","t":true}"#.to_owned(),
        r#"{"a":"root","t":99999999999999999999999999}"#.to_owned(),
        format!(r#"{{"a":"root","t":{t},"d":-1}}"#),
        format!(r#"{{"a":"root","t":{t},"d":"3600"}}"#),
        format!(r#"{{"a":"root","t":{t},"d":true}}"#),
        format!(r#"{{"a":"root","t":{t},"d":18446744073709551615}}"#),
        format!(r#"{{"a":"root","t":{t},"_r":[]}}"#),
        format!(r#"{{"a":"root","t":{t},"_r":null}}"#),
        format!(r#"{{"a":"root","t":{t},"_r":{{"a":"vi"}}}}"#),
        format!(r#"{{"a":"root","t":{t},"_r":{{"r":{{"x":["vi"]}}}}}}"#),
        format!(r#"{{"a":"root","a":"admin","t":{t}}}"#),
        format!(r#"{{"a":"root","t":{t}}}}}"#),
        format!(r#"{{"a":"root","t":{t}"#),
        format!("\u{feff}{{\"a\":\"root\",\"t\":{t}}}"),
        format!(r#"{{"a":"\ud800","t":{t}}}"#),
        format!(r#"{{"a":"root","t":{t},"x":{}{}}}"#, "[".repeat(2000), "]".repeat(2000)),
    ] {
        gate.rejected(&forge(SECRET, &payload), &payload);
        gate.rejected(&forge_encoded(SECRET, &compressed(&payload)), &payload);
    }
    gate.rejected(&forge(SECRET, b"{\"a\":\"\xff\",\"t\":1}"), "not UTF-8");
}

#[test]
fn times_that_are_over_or_have_not_come() {
    let mut gate = Gate::new(signed());
    let mut judge = |payload: Value| gate.ask(forge(SECRET, payload.to_string()));
    let accepted = judge(json!({ "a": "root", "t": now() - 100, "d": 3600 }));
    assert_eq!(accepted["status"], "accepted", "{accepted}");
    for (payload, reason) in [
        (json!({ "a": "root", "t": now(), "d": 0 }), "token has expired"),
        (json!({ "a": "root", "t": now() - 100, "d": 100 }), "token has expired"),
        (json!({ "a": "root", "t": 0, "d": 1 }), "token has expired"),
    ] {
        let answer = judge(payload);
        assert_eq!((&answer["status"], &answer["reason"]), (&json!("rejected"), &json!(reason)), "{answer}");
    }
    for payload in [
        json!({ "a": "root", "t": now() + 3600 }),
        json!({ "a": "root", "t": now() + 3600, "d": 7200 }),
        json!({ "a": "root", "t": 1_u64 << 53 }),
        json!({ "a": "root", "t": 1_u64 << 53, "d": 1_u64 << 53 }),
    ] {
        let answer = judge(payload.clone());
        assert_eq!(answer["status"], "rejected", "{payload}: {answer}");
        assert_ne!(answer["reason"], "token has expired", "it is not that: {payload}");
    }
}

#[test]
fn the_longest_life_holds_whatever_the_token_says() {
    let mut scratch = Scratch::new();
    scratch.signed("max_signed_tokens_ttl = 1000");
    let judge = |payload: Value| {
        scratch.feed(["verify", "-"], forge(SECRET, payload.to_string()).as_bytes()).json_lines().remove(0)
    };
    for (payload, life) in [
        (json!({ "a": "root", "t": now() - 10 }), Some(1000)),
        (json!({ "a": "root", "t": now() - 10, "d": 100 }), Some(100)),
        (json!({ "a": "root", "t": now() - 10, "d": 5000 }), Some(1000)),
        (json!({ "a": "root", "t": now() - 2000, "d": 5000 }), None),
        (json!({ "a": "root", "t": now() - 2000 }), None),
        // In Datasette a zero slips past the limit.
        (json!({ "a": "root", "t": now() - 2000, "d": 0 }), None),
        (json!({ "a": "root", "t": now(), "d": 0 }), None),
    ] {
        let answer = judge(payload.clone());
        match life {
            Some(life) => {
                assert_eq!(
                    answer["actor"]["token_expires"],
                    payload["t"].as_u64().unwrap() + life,
                    "{payload}: {answer}"
                );
            }
            None => assert_eq!(answer["reason"], "token has expired", "{payload}: {answer}"),
        }
    }
}

#[test]
fn what_is_compressed_is_bounded_when_inflated() {
    let mut gate = Gate::new(signed());
    let fine = json!({ "a": "root", "t": now(), "x": "y".repeat(1000) }).to_string();
    assert_eq!(gate.ask(forge_encoded(SECRET, &compressed(&fine)))["status"], "accepted", "compressed tokens are read");

    let bomb = json!({ "a": "root", "t": now(), "x": "y".repeat(5_000_000) }).to_string();
    let bomb = forge_encoded(SECRET, &compressed(bomb));
    assert!(bomb.len() <= 8192, "short enough to reach the handler: {} bytes", bomb.len());
    gate.rejected(&bomb, "a bomb");

    let stream = compressed(&fine);
    let half = &stream[..stream.len() / 2];
    for (payload, what) in [
        (half.to_owned(), "half of a stream"),
        (format!("{stream}AAAA"), "something behind the stream"),
        (".".to_owned(), "nothing"),
        (format!(".{}", plain("no zlib")), "no stream"),
        (format!("..{}", &stream[1..]), "a dot more"),
        (format!(".{}", compressed(&fine)), "a dot before"),
    ] {
        gate.rejected(&forge_encoded(SECRET, &payload), what);
    }
}

#[test]
fn another_secret_is_another_signer() {
    let mut gate = Gate::new(signed());
    let payload = json!({ "a": "root", "t": now() }).to_string();
    for secret in ["", " ", "not so secre", "not so secret ", "NOT SO SECRET"] {
        gate.rejected(&forge(secret, &payload), secret);
    }
}

#[test]
fn signed_tokens_can_be_switched_off() {
    let mut scratch = Scratch::new();
    scratch.signed("allow_signed_tokens = false");
    let created = scratch.run(["create", "root"]);
    assert_eq!((created.code(), created.stdout.as_str()), (2, ""), "{created}");
    assert!(created.stderr.contains("Signed tokens are not enabled"), "{created}");
    let verified = scratch.run(["verify", &good()]);
    assert_eq!(verified.code(), 1, "{verified}");
}
