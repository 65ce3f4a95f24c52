//! `token-host client`.

use http::Request;
use token_host::{Host, block_on};
use token_host_tests::{OAuth2, Plugin, Reply, Run, Scratch, form_in};

use crate::oauth2_server::{SCOPES, actor};

fn place(more: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.entry(&format!("[oauth2]\nissuer = '{}'\n{SCOPES}", OAuth2::ISSUER));
    scratch.plugin("oauth2", Plugin::OAuth2, "url = 'memory:'").entry(more);
    scratch
}

#[track_caller]
fn refused(run: &Run, code: i32, says: &str) {
    assert_eq!(run.code(), code, "{run}");
    assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{says}: {run}");
}

#[test]
fn a_client_is_added_with_a_secret_that_is_shown_once() {
    let scratch = place("");
    let run =
        scratch.run(["client", "add", "--json", "--name", "Our App", "--redirect-uri", "https://app.example/back"]);
    assert_eq!(run.code(), 0, "{run}");
    let added = run.json();
    let client = &added["client"];
    assert!(added["client_secret"].as_str().unwrap().strip_prefix("ths_").unwrap().len() == 43, "256 bits");
    assert_eq!(client["client_id"].as_str().unwrap().strip_prefix("thc_").unwrap().len(), 43);
    assert_eq!((&client["name"], &client["public"]), (&"Our App".into(), &false.into()));
    assert_eq!(client["grants"], serde_json::json!(["authorization_code", "refresh_token"]));
    assert_eq!(client["response_types"], serde_json::json!(["code"]));
    assert!(client["scopes"].is_null() && !run.stdout.contains("argon2"), "{run}");

    let run = scratch.run(["client", "add", "--id", "job", "--scope", "read", "--scope", "write"]);
    for line in ["client id: job\n", "client secret: ths_", "kind: confidential\n", "grants: client_credentials\n"] {
        assert!(run.stdout.contains(line), "{run}");
    }
    assert!(run.stdout.contains("scopes: read write\n") && run.stderr.contains("shown this once"), "{run}");

    let public = ["client", "add", "--json", "--public", "--id", "app", "--redirect-uri", "com.example.app:/back"];
    let run = scratch.run(public);
    assert!(run.json()["client"]["public"] == true && run.json().get("client_secret").is_none(), "{run}");
}

#[test]
fn a_client_that_makes_no_sense_is_not_added() {
    let scratch = place("");
    for (arguments, says) in [
        (&["--redirect-uri", "http://app.example/"][..], "`http` is for localhost"),
        (&["--redirect-uri", "https://app.example/#x"], "without a fragment"),
        (&["--redirect-uri", "/back"], "absolute"),
        (&["--redirect-uri", "javascript:alert(1)"], "https"),
        (&["--public"], "public client has no secret"),
        (&["--grant", "authorization_code"], "expected --redirect-uri"),
        (&["--grant", "implicit"], "invalid value 'implicit'"),
        (&["--response-type", "token"], "invalid value 'token'"),
        (&["--scope", "admin"], "expected one of [oauth2.scopes]"),
        (&["--id", "a b"], "--id: expected 1 to 128"),
        (&["--id", ""], "--id: expected 1 to 128"),
        (&["--store", "other"], "there is no store of clients named \"other\""),
    ] {
        refused(&scratch.run(["client", "add"].iter().chain(arguments)), 2, says);
    }
}

#[test]
fn a_client_lasts_until_it_is_removed_and_its_tokens_with_it() {
    let mut scratch = Scratch::new();
    scratch.entry(&format!("[oauth2]\nissuer = '{}'\n{SCOPES}", OAuth2::ISSUER));
    scratch.plugin("oauth2", Plugin::OAuth2, "url = 'sqlite:oauth2.db'");
    let added = scratch.run(["client", "add", "--json", "--id", "job", "--name", "A Job"]);
    let first = added.json()["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(scratch.run(["client", "add", "--id", "job"]).code(), 2, "there is one of this id");
    let listed = scratch.run(["client", "list", "--json"]).json();
    assert_eq!(listed["clients"], serde_json::json!([added.json()["client"]]));
    let shown = scratch.run(["client", "show", "job"]);
    assert!(shown.stdout.contains("name: A Job\n") && !shown.stdout.contains("secret"), "{shown}");

    let host = Host::from_file(scratch.config()).unwrap();
    let token = |secret: &str| {
        let form = [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", secret)];
        Reply::from(block_on(host.oauth2().unwrap().token(&form_in(Request::post("/oauth2/token"), &form))))
    };
    let (one, is_good) = (token(&first), |reply: &Reply| actor(&host, &reply.text("access_token")).is_some());
    assert!(one.status == 200 && is_good(&one), "{one:?}");
    let rotated = scratch.run(["client", "rotate-secret", "--json", "job"]).json();
    let second = rotated["client_secret"].as_str().unwrap();
    assert_eq!((token(&first).status, token(second).status), (400, 200), "at once, in a host that knew the old one");

    let removed = scratch.run(["client", "remove", "--json", "--yes", "job"]);
    assert_eq!(removed.json(), serde_json::json!({ "client_id": "job", "revoked_tokens": 2 }), "{removed}");
    assert!(!is_good(&one) && token(second).status == 400);
    refused(&scratch.run(["client", "show", "job"]), 1, "client not found");
    refused(&scratch.run(["client", "remove", "--yes", "job"]), 1, "client not found");
}

#[test]
fn who_is_not_there_is_not_found() {
    let scratch = place("");
    for arguments in [&["show", "app"][..], &["rotate-secret", "app"], &["remove", "app", "--yes"]] {
        refused(&scratch.run(["client"].iter().chain(arguments)), 1, "client not found");
    }
    refused(&scratch.run(["client", "remove", "app"]), 2, "expected --yes");
    let listed = scratch.run(["client", "list", "--json"]);
    assert_eq!(listed.json(), serde_json::json!({ "clients": [], "next": null }), "{listed}");
}

#[test]
fn of_several_stores_one_is_named() {
    let mut scratch = Scratch::new();
    refused(&scratch.run(["client", "list"]), 2, "no plugin keeps clients");
    for name in ["one", "other"] {
        scratch.plugin(name, Plugin::OAuth2, &format!("name = '{name}'\nprefix = '{name}'"));
    }
    refused(&scratch.run(["client", "list"]), 2, "expected --store");
    assert_eq!(scratch.run(["client", "list", "--store", "other"]).code(), 0);
}
