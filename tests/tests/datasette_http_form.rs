//! `/-/create-token` beside a real Datasette's: who may make a token, which one comes of a form, and what forms are refused.

use serde_json::{Value, json};
use token_host_tests::{Datasette, Oracle, Plugin, Reply, SECRET, Scratch, Served, forge, now, skipped};

use crate::datasette_http::{bearer, request, serving, signed_in};

const PATH: &str = "/-/create-token";
const USER: &str = "X-User: ann\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "Accept: application/json\r\n";

fn posted(lines: &str, body: &str) -> String {
    // Datasette waits for a body that is said to be there, and for none otherwise.
    let empty = if body.is_empty() { "Content-Length: 0\r\n" } else { "" };
    request("POST", PATH, &format!("{FORM}{lines}{empty}"), body)
}

/// The token in a page.
fn token_in(page: &Reply) -> Option<String> {
    let (_, input) = page.body.split_once(r#"<input type="text" class="copyable""#)?;
    Some(input.split_once("value=\"")?.1.split('"').next()?.to_owned())
}

fn made(served: &Served, body: &str) -> String {
    let page = served.exchange(posted(USER, body));
    assert_eq!(page.status, 200, "{body}: {page:?}");
    token_in(&page).unwrap_or_else(|| panic!("no token: {page:?}"))
}

#[test]
fn who_may_make_one_is_as_in_datasette() {
    let Some(datasette) = skipped("who_may_make_one_is_as_in_datasette", Datasette::start()) else { return };
    let (_scratch, served) = signed_in();
    let token = |payload: Value| bearer(&forge(SECRET, payload.to_string()));
    let good = token(json!({ "a": "ann", "t": now() }));
    let restricted = token(json!({ "a": "ann", "t": now(), "_r": { "a": ["vi"] } }));
    let expired = token(json!({ "a": "ann", "t": now() - 100, "d": 10 }));
    for (lines, status) in [("", 403), (&good, 403), (&restricted, 403), (&expired, 401)] {
        for ask in
            [request("GET", PATH, &format!("{JSON}{lines}"), ""), posted(&format!("{JSON}{lines}"), "expire_type=")]
        {
            let (theirs, ours) = (datasette.exchange(&ask), served.exchange(&ask));
            assert_eq!((theirs.status, ours.status), (status, status), "{ask}: {theirs:?} {ours:?}");
            assert_eq!(theirs.json(), ours.json(), "{ask}");
        }
        let (theirs, ours) =
            (datasette.exchange(request("GET", PATH, lines, "")), served.exchange(request("GET", PATH, lines, "")));
        assert_eq!(
            (theirs.status, theirs.header("content-type")),
            (ours.status, ours.header("content-type")),
            "{lines}"
        );
    }
    let page = request("GET", PATH, USER, "");
    assert_eq!((datasette.exchange(&page).status, served.exchange(&page).status), (200, 200));
    // A token is no way around, whoever is signed in beside it.
    let beside = served.exchange(posted(&format!("{USER}{good}{JSON}"), "expire_type="));
    assert_eq!(beside.text("error"), "Token authentication cannot be used to create additional tokens");
}

#[test]
fn a_form_makes_the_token_that_it_makes_in_datasette() {
    let test = "a_form_makes_the_token_that_it_makes_in_datasette";
    let Some((datasette, mut oracle)) = skipped(test, Datasette::start()).zip(skipped(test, Oracle::start())) else {
        return;
    };
    let (_scratch, served) = signed_in();
    for body in [
        "expire_type=&expire_duration=",
        "expire_type=minutes&expire_duration=5",
        "expire_type=hours&expire_duration=12&all%3Aview-instance=on",
        "expire_type=days&expire_duration=3&csrftoken=x&all:view-table=on&all:plugins-own=on",
        "database%3Amy~2Fdb%3Acreate-table=on&database:my~2Fdb:view-database=on",
        "all:view-instance=on&resource:fixtures:a~2Eb~20~7E:insert-row=on&resource:fixtures:caf~C3~A9+x:view-table=on",
    ] {
        let theirs = datasette.exchange(posted(USER, body));
        let theirs = token_in(&theirs).unwrap_or_else(|| panic!("{body}: {theirs:?}"));
        let ours = made(&served, body);
        let alike = |mut verdict: Value, token: &str| {
            assert_eq!(verdict["actor"]["id"], "ann", "{body}: {token} {verdict}");
            if let Some(expires) = verdict["actor"].get_mut("token_expires") {
                let seconds = expires.as_u64().unwrap() - now();
                *expires = ((seconds + 30) / 60).into();
            }
            // Which of two actions or tables comes first says nothing.
            let mut text = verdict["actor"].to_string();
            if let Some(lists) = verdict["actor"].get_mut("_r") {
                sort(lists);
                text = verdict["actor"].to_string();
            }
            text
        };
        assert_eq!(alike(oracle.verify(&theirs), &theirs), alike(oracle.verify(&ours), &ours), "{body}");
        // Each knows the other's.
        for token in [&theirs, &ours] {
            let asked = request("GET", "/-/actor.json", &bearer(token), "");
            assert_eq!(datasette.exchange(&asked).json(), served.exchange(&asked).json(), "{body}");
        }
    }
}

fn sort(lists: &mut Value) {
    match lists {
        Value::Array(list) => list.sort_by_key(ToString::to_string),
        Value::Object(map) => map.values_mut().for_each(sort),
        _ => {}
    }
}

#[test]
fn a_form_that_another_site_sends_is_refused_as_in_datasette() {
    let test = "a_form_that_another_site_sends_is_refused_as_in_datasette";
    let Some(datasette) = skipped(test, Datasette::start()) else { return };
    let (_scratch, served) = signed_in();
    for (lines, status) in [
        ("", 200),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n", 200),
        ("Origin: http://db.example\r\n", 200),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nOrigin: http://db.example\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nAuthorization: Basic YTpi\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nCookie: a=b\r\nAuthorization: Bearer x\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: http://db.example.evil.example\r\n", 403),
        ("Origin: http://db.example:81\r\n", 403),
    ] {
        let post = posted(&format!("{USER}{lines}"), "expire_type=");
        let (theirs, ours) = (datasette.exchange(&post), served.exchange(&post));
        assert_eq!((theirs.status, ours.status), (status, status), "{lines}: {ours:?}");
        assert_eq!((token_in(&theirs).is_some(), token_in(&ours).is_some()), (status == 200, status == 200), "{lines}");
    }
    // Datasette takes these; no page of ours sends them.
    for lines in ["Sec-Fetch-Site: none\r\n", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Site: same-origin\r\n"] {
        assert_eq!(served.exchange(posted(&format!("{USER}{lines}"), "expire_type=")).status, 403, "{lines}");
    }
    let https = "X-Forwarded-Host: tokens.example\r\nX-Forwarded-Proto: https\r\nOrigin: ";
    for (origin, status) in
        [("https://tokens.example", 200), ("http://tokens.example", 403), ("http://db.example", 403)]
    {
        let post = posted(&format!("{USER}{https}{origin}\r\n"), "expire_type=");
        assert_eq!(served.exchange(post).status, status, "{origin}");
    }
}

#[test]
fn a_mistake_makes_no_token_and_no_wider_one() {
    let (_scratch, served) = signed_in();
    for body in [
        "expire_type=minutes&expire_duration=",
        "expire_type=minutes&expire_duration=0",
        "expire_type=minutes&expire_duration=-5",
        "expire_type=weeks&expire_duration=1",
        "expire_type=days&expire_duration=99999999999999999999",
        // As many seconds as by the API, and no more.
        "expire_type=days&expire_duration=2932897",
        "expire_type=days&expire_duration=4294967295",
        "expire_type=&expire_duration=5",
        "all:a:b=on",
        "database:fixtures=on",
        "resource:fixtures:t:view-table:x=on",
        "database-1=fixtures",
    ] {
        let page = served.exchange(posted(USER, body));
        assert_eq!((page.status, token_in(&page)), (400, None), "{body}");
        assert!(page.body.contains("role=\"alert\"") && page.body.contains("<form method=\"post\""), "{body}");
    }
    made(&served, "expire_type=days&expire_duration=2932896");
    let restricted = made(&served, "database-1=my+db&resource-1=t/1&action-1=view-table&database-2=x&action-2=vd");
    let actor = served.exchange(request("GET", "/-/actor.json", &bearer(&restricted), "")).json();
    assert_eq!(actor["actor"]["_r"], json!({ "d": { "x": ["vd"] }, "r": { "my db": { "t/1": ["vt"] } } }));
}

#[test]
fn what_is_no_form_or_too_much_is_refused() {
    let (_scratch, served) = signed_in();
    let ask = |lines: &str, body: &str| served.exchange(request("POST", PATH, &format!("{USER}{lines}"), body));
    assert_eq!(ask("Content-Type: application/json\r\n", "{}").status, 400);
    assert_eq!(ask("Content-Type: multipart/form-data; boundary=x\r\n", "--x--").status, 400);
    assert_eq!(ask("", "expire_type=").status, 400);
    assert_eq!(ask(FORM, "expire_type=%").status, 400);
    assert_eq!(ask(FORM, &"a&".repeat(1001)).status, 400);
    assert_eq!(ask(FORM, &"a".repeat(64 * 1024 + 1)).status, 413);
    let chunked = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\n{USER}{FORM}Transfer-Encoding: chunked\r\n\r\n");
    let chunked = served.exchange(chunked + &format!("1000\r\n{}\r\n", "a".repeat(4096)).repeat(20) + "0\r\n\r\n");
    assert_eq!(chunked.status, 413);
    // A token longer than tokens may be is of no use.
    let many: String = (0..600).map(|number| format!("all:an-action-with-number-{number}=on&")).collect();
    let page = ask(FORM, &many);
    assert_eq!((page.status, token_in(&page)), (400, None));
    assert!(page.body.contains("longer than the 8192"), "{page:?}");
}

#[test]
fn nobody_untrusted_signs_anybody_in() {
    for http in ["user_header = 'X-User'", "user_header = 'X-User'\ntrusted_proxies = ['10.0.0.0/8']", ""] {
        let (_scratch, served) = serving(http);
        let forwarded = format!("{USER}{JSON}X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n");
        let reply = served.exchange(posted(&forwarded, "expire_type="));
        assert_eq!(
            (reply.status, reply.text("error").as_str()),
            (403, "You must be logged in to create a token"),
            "{http}"
        );
    }
    let (_scratch, served) = signed_in();
    assert_eq!(served.exchange(posted("X-User: ann\r\nX-User: root\r\n", "expire_type=")).status, 403);
}

#[test]
fn the_page_is_locked_down_and_shows_text_as_text() {
    let (_scratch, served) = signed_in();
    let user = "X-User: <img src=x onerror=alert(1)>\"'&\u{202e}\r\n";
    let evil = "expire_duration=%22%3E%3Cscript%3E&database-1=%3Cscript%3E&action-1=%22+onfocus%3D%22x";
    for page in [
        served.exchange(request("GET", PATH, user, "")),
        served.exchange(posted(user, evil)),
        served.exchange(posted(user, "")),
    ] {
        assert!(
            !page.body.contains("<script") && !page.body.contains("<img") && !page.body.contains('\u{202e}'),
            "{page:?}"
        );
        assert!(!page.body.contains("\" onfocus"), "{page:?}");
        assert!(page.body.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;\u{fffd}"), "{page:?}");
        let policy = page.header("content-security-policy");
        for part in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("script") && !policy.contains("unsafe"));
        assert_eq!((page.header("x-frame-options"), page.header("referrer-policy")), ("DENY", "same-origin"));
        assert_eq!(
            (page.header("cache-control"), page.header("x-content-type-options")),
            ("private, no-store", "nosniff")
        );
    }
    let token = made(&served, "");
    assert!(!served.exchange(request("GET", PATH, USER, "")).body.contains(&token), "it is shown once");
}

#[test]
fn the_token_is_of_the_first_handler_that_can() {
    let mut scratch = Scratch::new();
    scratch.entry("[http]\ntrusted_proxies = ['127.0.0.1']\nuser_header = 'X-User'").signed("");
    scratch.plugin("database", Plugin::Database, "url = 'sqlite:tokens.db'");
    let served = Served::start(&scratch);
    let token = made(&served, "expire_type=hours&expire_duration=1&all:view-instance=on");
    assert!(!token.starts_with("dstok_"), "the last registered is the first");
    let actor = served.exchange(request("GET", "/-/actor.json", &bearer(&token), "")).json();
    assert_eq!((&actor["actor"]["id"], &actor["actor"]["_r"]), (&json!("ann"), &json!({ "a": ["vi"] })), "{actor}");
}

#[test]
fn where_no_token_can_be_made_it_says_so() {
    let signed_in = "[http]\ntrusted_proxies = ['127.0.0.1']\nuser_header = 'X-User'";
    let mut disabled = Scratch::new();
    disabled.entry(signed_in).signed("allow_signed_tokens = false");
    let mut none = Scratch::new();
    none.entry(signed_in);
    let mut down = Scratch::new();
    down.entry(signed_in).plugin("down", Plugin::Hostile, "handlers = [{ name = 'down', create = 'fail' }]");
    for (scratch, status) in [(disabled, 403), (none, 503), (down, 503)] {
        let served = Served::start(&scratch);
        let reply = served.exchange(posted(&format!("{USER}{JSON}"), "expire_type="));
        assert_eq!((reply.status, &reply.json()["ok"]), (status, &json!(false)), "{reply:?}");
    }
}
