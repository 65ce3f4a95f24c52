//! Tokens and actors by `/api/v1`: what is done to them, and what is refused.

use serde_json::{Value, json};
use token_host_tests::{Api, wait_until};

use crate::api_access::problem;

fn ids(page: &Value) -> Vec<&str> {
    page["tokens"].as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap()).collect()
}

fn is_good(api: &Api, token: &str) -> bool {
    match api.ask_as(&[&format!("Bearer {token}")], "GET", "/auth").status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a_token_is_made_shown_changed_and_invalidated() {
    let api = Api::new();
    let mut watcher = api.watch(&api.admin);
    let new = json!({
        "actor_id": "ann", "handler": "database", "expires_after": 3600, "note": "<b>é</b>",
        "restrictions": { "a": ["view-instance"], "d": { "docs": ["vt"] }, "r": { "docs": { "pages": ["insert-row"] } } },
        "policy": null, "extra": { "team": "a" },
    });
    let reply = api.send("POST", "/api/v1/tokens", &new);
    assert_eq!((reply.status, reply.header("cache-control")), (201, "no-store"), "{reply:?}");
    let made = reply.json();
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(made["expires_at"].is_u64() && is_good(&api, token));
    let event = watcher.by_ref().find(|(kind, _)| kind == "token_created").unwrap().1;
    assert_eq!((&event["actor_id"], &event["token_id"]), (&json!("ann"), &json!(id)));
    let context = &event["context"];
    assert_eq!(
        (&context["by"], &context["method"], &context["path"]),
        (&json!("root"), &json!("POST"), &json!("/api/v1/tokens"))
    );

    let shown = api.get(&format!("/api/v1/tokens/{id}"));
    assert_eq!(
        (&shown["note"], &shown["extra"]["team"], &shown["valid"]),
        (&json!("<b>é</b>"), &json!("a"), &json!(true))
    );
    assert_eq!(
        shown["restrictions"],
        json!({ "a": ["vi"], "d": { "docs": ["vt"] }, "r": { "docs": { "pages": ["ir"] } } })
    );
    assert!(!shown.to_string().contains(token));

    let path = format!("/api/v1/tokens/{id}?handler=database");
    for wrong in [json!({ "policy": { "resources": {} } }), json!({ "expires": { "at": 1 } })] {
        problem(&api.send("PATCH", &path, &wrong), 400, "invalid-argument");
    }
    let policy = json!({ "resources": { "user": { "*": { "allow": ["GET"] } } } });
    let changed = api.send("PATCH", &path, &json!({ "note": "new", "expires": "never", "policy": policy })).json();
    assert_eq!((&changed["note"], &changed["policy"], changed.get("expires_at")), (&json!("new"), &policy, None));
    let changed = api.send("PATCH", &path, &json!({ "policy": null, "expires": { "at": 253_402_300_799_u64 } })).json();
    assert_eq!((changed.get("policy"), &changed["note"]), (None, &json!("new")));
    assert_eq!(changed["expires_at"], 253_402_300_799_u64);
    assert_eq!(api.send("PATCH", &path, &json!({ "valid": false })).json()["valid"], false);
    assert!(!is_good(&api, token));
    assert_eq!(api.send("PATCH", &path, &json!({ "valid": true })).json()["valid"], true);
    assert!(is_good(&api, token));
    let unchanged = api.send("PATCH", &path, &json!({}));
    assert_eq!((unchanged.status, &unchanged.json()["note"]), (200, &json!("new")));

    let gone = api.ask("DELETE", &format!("{path}&reason=lost%20laptop"));
    assert_eq!(
        (gone.status, gone.json()),
        (200, json!({ "tokens": [{ "id": id, "actor_id": "ann" }], "cutoffs": [] }))
    );
    assert!(!is_good(&api, token));
    let again = api.ask("DELETE", &path);
    assert_eq!((again.status, &again.json()["tokens"]), (200, &json!([])), "it was invalid already");
    assert_eq!(api.get(&path)["invalid_reason"], "lost laptop");
    let told = watcher.by_ref().find(|(kind, _)| kind == "token_invalidated").unwrap().1;
    assert_eq!((&told["reason"], &told["context"]["by"]), (&json!("lost laptop"), &json!("root")));
}

#[test]
fn what_is_null_is_the_handlers_default() {
    let api = Api::new();
    let document = api.ask_as(&[], "GET", "/api/v1/openapi.json").json();
    let described = document["components"]["schemas"]["NewToken"].clone();
    let mut nulls = json!({ "actor_id": "ann" });
    for (name, schema) in described["properties"].as_object().unwrap() {
        if name != "actor_id" {
            let is_null = |schema: &Value| match &schema["type"] {
                Value::Array(types) => types.contains(&json!("null")),
                only => only == "null",
            };
            let choices = schema["oneOf"].as_array();
            assert!(is_null(schema) || choices.is_some_and(|choices| choices.iter().any(is_null)), "{name}: {schema}");
            nulls[name] = Value::Null;
        }
    }
    assert_eq!(described["required"], json!(["actor_id"]));
    let made = api.send("POST", "/api/v1/tokens", &nulls);
    assert_eq!((made.status, &made.json()["expires_at"]), (201, &Value::Null), "{made:?}");
}

#[test]
fn tokens_are_listed_page_by_page() {
    let api = Api::new();
    let kept: Vec<(String, String)> = ["ann", "bob", "ann", "cy"].map(|actor| api.kept(actor)).into();
    let all: Vec<&str> = kept.iter().map(|(_, id)| id.as_str()).collect();
    let first = api.get("/api/v1/tokens?everyone=true&limit=3");
    let next = first["next"].as_str().expect("there is another page");
    let second = api.get(&format!("/api/v1/tokens?everyone=true&limit=3&after={next}"));
    assert_eq!((first["tokens"].as_array().unwrap().len(), &second["next"]), (3, &Value::Null));
    let mut listed = [ids(&first), ids(&second)].concat();
    listed.sort_unstable();
    assert_eq!(listed, all);
    let of = |query: &str| {
        let page = api.get(&format!("/api/v1/tokens?handler=database&{query}"));
        let mut ids: Vec<String> = ids(&page).into_iter().map(str::to_owned).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(of("actor=ann"), [all[0], all[2]]);
    assert_eq!(of("actor=cy&actor=bob"), [all[1], all[3]]);
    assert_eq!(of("actor=nobody"), [""; 0]);
    let noted = api.send("PATCH", &format!("/api/v1/tokens/{}", all[1]), &json!({ "note": "a % b" }));
    assert_eq!(noted.status, 200, "{noted:?}");
    let short = json!({ "actor_id": "dee", "handler": "database", "expires_after": 1 });
    let short = api.send("POST", "/api/v1/tokens", &short).json();
    wait_until("it expires", || (!is_good(&api, short["token"].as_str().unwrap())).then_some(()));
    api.ask("DELETE", &format!("/api/v1/tokens/{}", all[3]));
    assert_eq!(of("everyone=true&note_contains=%25"), [all[1]]);
    assert_eq!(of("everyone=true&expired=true"), [short["id"].as_str().unwrap()]);
    assert_eq!(of("everyone=true&valid=false"), [all[3]]);
    assert_eq!(of("everyone=true&expired=false&valid=true"), [all[0], all[1], all[2]]);
    assert_eq!(of("everyone=true&created_before=1000"), [""; 0]);
}

#[test]
fn many_tokens_are_invalidated_at_once() {
    let api = Api::new();
    let [one, other, third, fourth] = ["ann", "ann", "bob", "cy"].map(|actor| api.kept(actor));
    let invalidate = |body: &Value| {
        let reply = api.send("POST", "/api/v1/tokens/invalidate", body);
        assert_eq!(reply.status, 200, "{reply:?}");
        ids(&reply.json()).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(invalidate(&json!({ "tokens": { "token": one.0 }, "reason": "seen in a log" })), [one.1.as_str()]);
    assert_eq!(invalidate(&json!({ "handler": "database", "tokens": { "id": other.1 } })), [other.1.as_str()]);
    let nobody = json!({ "handler": "database", "tokens": { "filter": { "actors": { "these": [] } } } });
    assert_eq!(invalidate(&nobody), [""; 0], "an empty list is nobody");
    let of_bob =
        json!({ "handler": "database", "tokens": { "filter": { "actors": { "these": ["bob"] }, "valid": true } } });
    assert_eq!(invalidate(&of_bob), [third.1.as_str()]);
    let everyone = json!({ "handler": "database", "tokens": { "filter": { "actors": "everyone" } }, "reason": "" });
    assert_eq!(invalidate(&everyone), [fourth.1.as_str()]);
    assert!([&one, &other, &third, &fourth].iter().all(|(token, _)| !is_good(&api, token)));
}

#[test]
fn all_of_an_actors_tokens_end() {
    let api = Api::new();
    let [ann, bob] = ["ann/é", "bob"].map(|actor| api.kept(actor));
    let ended =
        api.send("POST", "/api/v1/actors/ann%2F%C3%A9/invalidate", &json!({ "handler": "database", "reason": "left" }));
    assert_eq!(ended.json()["tokens"], json!([{ "id": ann.1, "actor_id": "ann/é" }]), "{ended:?}");
    let by_jwt = api.send("POST", "/api/v1/actors/bob/invalidate", &json!({ "handler": "jwt" }));
    let cutoff = &by_jwt.json()["cutoffs"][0];
    assert!(cutoff["actor_id"] == "bob" && cutoff["created_before"].is_u64(), "{by_jwt:?}");
    assert!(!is_good(&api, &ann.0) && is_good(&api, &bob.0));

    let off = json!({ "handler": "database", "active": false, "reason": "on leave" });
    let reply = api.send("PUT", "/api/v1/actors/bob", &off);
    assert_eq!(reply.json(), json!({ "actor_id": "bob", "active": false, "changed": true }), "{reply:?}");
    assert_eq!(api.send("PUT", "/api/v1/actors/bob", &off).json()["changed"], false);
    assert!(!is_good(&api, &bob.0));
    let inactive = api.get("/api/v1/actors?handler=database");
    let only = &inactive["actors"][0];
    assert_eq!(
        (&only["actor_id"], &only["reason"], &inactive["next"]),
        (&json!("bob"), &json!("on leave"), &Value::Null)
    );
    assert_eq!(api.get("/api/v1/actors?actor=ann")["actors"], json!([]));
    let on = api.send("PUT", "/api/v1/actors/bob", &json!({ "active": true }));
    assert_eq!((on.status, &on.json()["active"]), (200, &json!(true)));
    assert!(is_good(&api, &bob.0));
}

#[test]
fn a_token_is_explained_and_counted() {
    let api = Api::new();
    let (token, _) = api.kept("ann");
    let explained = api.send("POST", "/api/v1/explain", &json!({ "token": token }));
    let told = explained.json();
    assert_eq!((&told["status"], &told["actor"]["id"]), (&json!("accepted"), &json!("ann")), "{explained:?}");
    let said: Vec<&str> =
        told["handlers"].as_array().unwrap().iter().map(|one| one["said"].as_str().unwrap()).collect();
    assert_eq!(said, ["accepted", "not_asked", "not_asked"]);
    assert!(!explained.body.contains(&token));
    assert_eq!(api.send("POST", "/api/v1/explain", &json!({ "token": "é" })).json()["status"], "not_recognized");
    let figures = api.get("/api/v1/metrics");
    assert_eq!(figures["outcomes"], json!(["accepted", "rejected", "not_recognized", "error"]));
    let signed = figures["handlers"].as_array().unwrap().iter().find(|one| one["handler"] == "signed").unwrap();
    assert!(signed["outcomes"][0].as_u64().unwrap() >= 3, "{figures}");
    assert_eq!(
        signed["latencies"].as_array().unwrap().len(),
        figures["latency_bounds_ns"].as_array().unwrap().len() + 1
    );
}

#[test]
fn bodies_are_read_strictly() {
    let api = Api::new();
    let post = |content_type: Option<&str>, body: &str| {
        let mut headers = vec![("authorization", api.admin.as_str())];
        headers.extend(content_type.map(|content_type| ("content-type", content_type)));
        api.ask_with("POST", "/api/v1/tokens", &headers, body)
    };
    let good = r#"{"actor_id":"ann"}"#;
    for content_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx"), Some("")]
    {
        problem(&post(content_type, good), 415, "wrong-type");
    }
    for content_type in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(post(Some(content_type), good).status, 201);
    }
    let json = Some("application/json");
    for body in ["", "{", "nonsense", r#"{"actor_id":"ann"}x"#, "{\"actor_id\":\"\u{1}\"}", r#"{"actor_id":"#] {
        problem(&post(json, body), 400, "invalid-request");
    }
    for body in [
        "null".to_owned(),
        "[]".to_owned(),
        r#"["ann"]"#.to_owned(),
        r#"{"actor_id":"ann","restrictions":[["vi"]]}"#.to_owned(),
        format!(r#"{{"actor_id":"ann","extra":{{"a":{}{}}}}}"#, "[".repeat(500), "]".repeat(500)),
        "{}".to_owned(),
        r#"{"actor_id":"ann","actor":"bob"}"#.to_owned(),
        r#"{"actor_id":"ann","actor_id":"bob"}"#.to_owned(),
        r#"{"actor_id":7}"#.to_owned(),
        r#"{"actor_id":""}"#.to_owned(),
        r#"{"actor_id":"a\u0000"}"#.to_owned(),
        format!(r#"{{"actor_id":"{}"}}"#, "a".repeat(1025)),
        format!(r#"{{"actor_id":"a","note":"{}"}}"#, "n".repeat(10_001)),
        r#"{"actor_id":"a","expires_after":0}"#.to_owned(),
        r#"{"actor_id":"a","expires_after":-1}"#.to_owned(),
        r#"{"actor_id":"a","expires_after":1e30}"#.to_owned(),
        r#"{"actor_id":"a","expires_after":18446744073709551615}"#.to_owned(),
        r#"{"actor_id":"a","restrictions":{"all":["vi"]}}"#.to_owned(),
        r#"{"actor_id":"a","restrictions":{"a":null}}"#.to_owned(),
        r#"{"actor_id":"a","kind":"pony"}"#.to_owned(),
    ] {
        let reply = post(json, &body);
        problem(&reply, 422, "unprocessable");
        assert!(
            !reply.body.contains("bob") && !reply.body.contains("pony"),
            "what was found is not repeated: {reply:?}"
        );
    }
    problem(&post(json, &format!(r#"{{"actor_id":"{}"}}"#, "a".repeat(1 << 20))), 413, "too-large");
}

#[test]
fn queries_are_read_strictly() {
    let api = Api::new();
    for query in [
        "",
        "everyone=false",
        "everyone=true&actor=ann",
        "everyone=yes",
        "actor=",
        "actor=ann&actor=ann",
        "actor=ann&limit=0",
        "actor=ann&limit=1001",
        "actor=ann&limit=1&limit=2",
        "actor=ann&colour=red",
        "actor=%zz",
        "actor=ann&created_before=-1",
        "actor=ann&created_before=253402300800",
        "actor=ann&handler=nobody",
        "actor=ann&after=nonsense",
        &format!("actor={}", "a".repeat(1025)),
        &"actor=a&".repeat(1025),
    ] {
        let reply = api.ask("GET", &format!("/api/v1/tokens?{query}"));
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (400, "application/problem+json"),
            "{query}: {reply:?}"
        );
    }
    problem(&api.ask("GET", "/api/v1/tokens?actor=ann&handler=nobody"), 400, "unknown-handler");
    problem(&api.ask("GET", "/api/v1/tokens/1?colour=red"), 400, "invalid-request");
}

#[test]
fn what_cannot_be_done_is_said_in_its_own_way() {
    let api = Api::new();
    problem(&api.ask("GET", "/api/v1/tokens/99"), 404, "not-found");
    problem(&api.ask("DELETE", "/api/v1/tokens/99?handler=database"), 404, "not-found");
    problem(&api.send("PATCH", "/api/v1/tokens/99?handler=database", &json!({ "note": "x" })), 404, "not-found");
    problem(&api.ask("GET", "/api/v1/tokens?everyone=true&handler=signed"), 501, "unsupported");
    problem(&api.send("PATCH", "/api/v1/tokens/1?handler=signed", &json!({ "note": "x" })), 501, "unsupported");
    let kinds = json!({ "actor_id": "ann", "handler": "signed", "kind": "refresh" });
    problem(&api.send("POST", "/api/v1/tokens", &kinds), 501, "unsupported");
    for changes in [json!({ "note": null }), json!({ "expires": null }), json!(["x"]), json!({ "valid": "no" })] {
        problem(&api.send("PATCH", "/api/v1/tokens/1", &changes), 422, "unprocessable");
    }
    let twice = json!({ "expires": { "at": 1, "in": 2 } });
    problem(&api.send("PATCH", "/api/v1/tokens/1", &twice), 422, "unprocessable");
    for tokens in [
        json!({}),
        json!({ "id": "1", "token": "x" }),
        json!("everyone"),
        json!({ "filter": {} }),
        json!({ "filter": { "actors": "all" } }),
    ] {
        problem(&api.send("POST", "/api/v1/tokens/invalidate", &json!({ "tokens": tokens })), 422, "unprocessable");
    }
    let twice = json!({ "tokens": { "filter": { "actors": { "these": ["a", "a"] } } } });
    problem(&api.send("POST", "/api/v1/tokens/invalidate", &twice), 422, "unprocessable");
    let many: Vec<String> = (0..1001).map(|actor| actor.to_string()).collect();
    let many = json!({ "tokens": { "filter": { "actors": { "these": many } } } });
    problem(&api.send("POST", "/api/v1/tokens/invalidate", &many), 422, "unprocessable");
}
