//! The authorization endpoint: who is asked, what they read, where browsers are sent, and what attackers get.

use std::collections::BTreeSet;

use http::Request;
use token_host::{CreateToken, TokenRestrictions, oauth2::Peer};
use token_host_tests::{OAuth2, Place, Reply, encoded, form_in};

use crate::oauth2_server::{APP, BACK, CHALLENGE, SCOPES, asking, is_error, server, server_with, tokens};

type Form = Vec<(String, String)>;

fn pairs(form: &Form) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn set(form: &Form, name: &str, value: &str) -> Form {
    let mut form: Form = form.iter().filter(|(known, _)| known != name).cloned().collect();
    form.push((name.to_owned(), value.to_owned()));
    form
}

fn without<'p>(query: &[(&'p str, &'p str)], name: &str) -> Vec<(&'p str, &'p str)> {
    query.iter().copied().filter(|(known, _)| *known != name).collect()
}

/// The page, ready to be allowed.
fn allowed(oauth2: &OAuth2, user: &str) -> Form {
    let page = oauth2.page(Some(user), &asking("app", &CHALLENGE));
    assert_eq!(page.status, 200, "{page:?}");
    set(&page.fields(), "decision", "allow")
}

#[track_caller]
fn is_told(reply: &Reply, status: u16) {
    assert_eq!((reply.status, reply.header("location")), (status, ""), "{reply:?}");
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert!(!reply.body.contains("<form") && !reply.body.contains("code="), "{reply:?}");
}

#[test]
fn a_user_is_asked_and_says_yes_or_no() {
    let oauth2 = server();
    let user = oauth2.user("ann");
    let query = asking("app", &[CHALLENGE[0], CHALLENGE[1], ("scope", "read")]);
    let page = oauth2.page(Some(&user), &query);
    assert_eq!(page.status, 200, "{page:?}");
    for part in ["Allow app?", "<b>ann</b>", "See your notes", "https://app.example"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(!page.body.contains("<script") && !page.body.contains("Change your notes"));
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "form-action 'self' https://app.example;", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!((page.header("x-frame-options"), page.header("referrer-policy")), ("DENY", "no-referrer"));
    assert_eq!((page.header("cache-control"), page.header("pragma")), ("no-store", "no-cache"));

    let form = set(&page.fields(), "decision", "allow");
    let (to, told) = oauth2.decide(Some(&user), &pairs(&form)).sent_to();
    assert_eq!((to.as_str(), told["state"].as_str(), told["iss"].as_str()), (BACK, "s t&", OAuth2::ISSUER));
    assert!(told["code"].len() == 47 && told.len() == 3, "{told:?}");
    let (to, told) = oauth2.decide(Some(&user), &pairs(&set(&form, "decision", "deny"))).sent_to();
    assert_eq!((to.as_str(), told["error"].as_str(), told["state"].as_str()), (BACK, "access_denied", "s t&"));
    assert!(told["iss"] == OAuth2::ISSUER && !told.contains_key("code"));
    is_told(&oauth2.decide(Some(&user), &pairs(&set(&form, "decision", "perhaps"))), 400);
}

#[test]
fn what_is_wrong_with_a_request_is_told_to_its_client() {
    let oauth2 = server();
    oauth2.add("own", Some("x"), |client| {
        client.redirect_uris = vec![BACK.to_owned()];
        client.authorized_grants = Some(vec!["client_credentials".to_owned()]);
    });
    oauth2.add("none", Some("x"), |client| {
        client.redirect_uris = vec![BACK.to_owned()];
        client.authorized_response_types = Some(Vec::new());
    });
    let user = oauth2.user("ann");
    let app = asking("app", &[]);
    let more = |more: &[(&'static str, &'static str)]| asking("app", more);
    let challenge = |method: &'static str| more(&[CHALLENGE[0], ("code_challenge_method", method)]);
    for (query, error) in [
        (without(&app, "response_type"), "invalid_request"),
        (more(&[("scope", "read"), ("scope", "read")]), "invalid_request"),
        (more(&[("x", "1"), ("x", "2")]), "invalid_request"),
        (more(&[CHALLENGE[0]]), "invalid_request"),
        (more(&[CHALLENGE[1]]), "invalid_request"),
        (challenge("plain"), "invalid_request"),
        (challenge("s256"), "invalid_request"),
        (more(&[("code_challenge", "short"), CHALLENGE[1]]), "invalid_request"),
        (asking("device", &[]), "invalid_request"),
        (asking("own", &[]), "unauthorized_client"),
        (asking("none", &[]), "unauthorized_client"),
        (more(&[("scope", "admin")]), "invalid_scope"),
        (more(&[("scope", "read\nwrite")]), "invalid_scope"),
    ] {
        let (to, told) = oauth2.page(Some(&user), &query).sent_to();
        assert_eq!((to.as_str(), told["error"].as_str()), (BACK, error), "{query:?}: {told:?}");
        assert_eq!((told["state"].as_str(), told["iss"].as_str()), ("s t&", OAuth2::ISSUER), "{query:?}");
    }
    for kind in ["token", "code token", "id_token", "Code"] {
        let mut query = without(&app, "response_type");
        query.push(("response_type", kind));
        assert_eq!(oauth2.page(Some(&user), &query).sent_to().1["error"], "unsupported_response_type");
    }
    let twice = [("state", "a"), ("state", "b")];
    let query: Vec<_> = without(&app, "state").into_iter().chain(twice).collect();
    let told = oauth2.page(Some(&user), &query).sent_to().1;
    assert!(told["error"] == "invalid_request" && !told.contains_key("state"), "nobody knows which: {told:?}");
}

#[test]
fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let oauth2 = server();
    let user = oauth2.user("ann");
    for uri in [
        "https://app.example/back/",
        "https://app.example/Back",
        "https://APP.example/back",
        "https://app.example/back?x=1",
        "https://app.example/back#",
        "https://app.example/bac",
        "https://app.example/back/../back",
        "https://app.example/%62ack",
        "https://app.example:443/back",
        "https://app.example@evil.example/back",
        "https://evil.example/https://app.example/back",
        "https://app.example.evil.example/back",
        "http://app.example/back",
        "//app.example/back",
        " https://app.example/back",
        "https://app.example/back\r\nx: y",
        "javascript:alert(1)",
        "https://evil.example",
    ] {
        for wrong in [&[][..], &[("response_type", "token")]] {
            let mut query = without(&asking("app", wrong), "redirect_uri");
            query.push(("redirect_uri", uri));
            is_told(&oauth2.page(Some(&user), &query), 400);
            is_told(&oauth2.page(None, &query), 400);
        }
    }
    let query = asking("app", &[("redirect_uri", "https://evil.example")]);
    is_told(&oauth2.page(Some(&user), &query), 400);
    is_told(&oauth2.page(Some(&user), &asking("nobody", &[])), 400);
    is_told(&oauth2.page(Some(&user), &asking("app\0", &[])), 400);
    is_told(&oauth2.page(Some(&user), &asking("app", &[("client_id", "app")])), 400);
    is_told(&oauth2.page(Some(&user), &without(&asking("app", &[]), "client_id")), 400);
    // Loopback addresses are no exception.
    let local = "http://127.0.0.1:8080/back";
    oauth2.add("local", Some("x"), |client| client.redirect_uris = vec![local.to_owned()]);
    for (uri, status) in [(local, 200), ("http://127.0.0.1:8081/back", 400), ("http://localhost:8080/back", 400)] {
        let mut query = without(&asking("local", &[]), "redirect_uri");
        query.push(("redirect_uri", uri));
        assert_eq!(oauth2.page(Some(&user), &query).status, status, "{uri}");
    }
    // One that is registered in another system, and should not be.
    oauth2.add("evil", Some("x"), |client| client.redirect_uris = vec!["javascript:alert(1)".to_owned()]);
    is_told(&oauth2.page(Some(&user), &without(&asking("evil", &[]), "redirect_uri")), 400);
    // With several, none is the one.
    oauth2.add("two", Some("x"), |client| client.redirect_uris = vec![BACK.to_owned(), local.to_owned()]);
    is_told(&oauth2.page(Some(&user), &without(&asking("two", &[]), "redirect_uri")), 400);
}

/// Whatever becomes of a request on its way, a browser ends at the registered address or nowhere.
#[test]
fn damaged_requests_lead_nowhere_else() {
    let oauth2 = server();
    let user = oauth2.user("ann");
    let mut random = fastrand::Rng::with_seed(7);
    let good = encoded(&asking("app", &[CHALLENGE[0], CHALLENGE[1], ("scope", "read")])).into_bytes();
    let mut statuses = BTreeSet::new();
    for _ in 0..3_000 {
        let mut query = good.clone();
        for _ in 0..random.usize(1..4) {
            let place = random.usize(..query.len());
            match random.u8(..4) {
                0 => drop(query.remove(place)),
                1 => query.insert(place, *random.choice(b"&=%+#/?:@.\\").unwrap()),
                2 => query[place] = random.u8(0x21..0x7f),
                _ => query.extend_from_within(place..),
            }
        }
        let uri = format!("/oauth2/authorize?{}", String::from_utf8(query).unwrap());
        let Ok(request) = Request::get(&uri).header("authorization", format!("Bearer {user}")).body(Vec::new()) else {
            continue;
        };
        let reply = oauth2.ask(&request, Peer::Unknown);
        let is_good = match reply.status {
            303 => reply.header("location").starts_with(&format!("{BACK}?error=")),
            200 => reply.fields().iter().all(|(name, value)| name != "redirect_uri" || value == BACK),
            status => status == 400,
        };
        assert!(is_good, "{uri}: {reply:?}");
        statuses.insert(reply.status);
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 303, 400]);
}

#[test]
fn nobody_decides_for_another() {
    let oauth2 = server();
    let (ann, bob) = (oauth2.user("ann"), oauth2.user("bob"));
    let form = allowed(&oauth2, &ann);
    let get = |name: &str| form.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let token = get("consent_token");
    let foreign = allowed(&server(), &ann).into_iter().find(|(name, _)| name == "consent_token").unwrap().1;
    let bobs = allowed(&oauth2, &bob).into_iter().find(|(name, _)| name == "consent_token").unwrap().1;
    for bad in ["", "x", "1.x", &foreign, &bobs, &token[1..], &token[..token.len() - 1]] {
        is_told(&oauth2.decide(Some(&ann), &pairs(&set(&form, "consent_token", bad))), 403);
    }
    for (name, value) in [
        ("client_id", "other"),
        ("scope", "read"),
        ("state", "x"),
        ("code_challenge", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ("redirect_uri", "https://evil.example"),
        ("response_type", "token"),
    ] {
        is_told(&oauth2.decide(Some(&ann), &pairs(&set(&form, name, value))), 403);
    }
    is_told(&oauth2.decide(Some(&bob), &pairs(&form)), 403);
    is_told(&oauth2.decide(None, &pairs(&form)), 401);
    // From another site.
    let from = |headers: &[(&'static str, &'static str)]| {
        let request = Request::post("/oauth2/authorize").header("authorization", format!("Bearer {ann}"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        oauth2.ask(&form_in(request, &pairs(&form)), Peer::Unknown)
    };
    is_told(&from(&[("origin", "https://evil.example")]), 403);
    is_told(&from(&[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(from(&[("origin", "https://auth.example"), ("sec-fetch-site", "same-origin")]).status, 303);
    assert_eq!(from(&[("origin", "null"), ("sec-fetch-site", "same-origin")]).status, 303, "what our page makes of it");
    // By a link, or as something that is no form.
    let uri = format!("/oauth2/authorize?{}", encoded(&pairs(&form)));
    let get = Request::get(uri).header("authorization", format!("Bearer {ann}")).body(Vec::new()).unwrap();
    assert_eq!(oauth2.ask(&get, Peer::Unknown).status, 200, "that only asks again");
    let json = Request::post("/oauth2/authorize").header("content-type", "application/json").body(Vec::new()).unwrap();
    is_told(&oauth2.ask(&json, Peer::Unknown), 415);
    is_told(&oauth2.ask(&Request::put("/oauth2/authorize").body(Vec::new()).unwrap(), Peer::Unknown), 405);
    let long = set(&form, "x", &"y".repeat(64 * 1024));
    is_told(&oauth2.decide(Some(&ann), &pairs(&long)), 413);
    // Too late.
    oauth2.clock.set(Place::NOW + 600);
    is_told(&oauth2.decide(Some(&ann), &pairs(&form)), 403);
}

#[test]
fn names_and_scopes_are_text() {
    let script = "<script>alert('x')</script>\"><img src=x>\u{202e}";
    let oauth2 = server_with("");
    oauth2.add("evil", Some("x"), |client| {
        client.name = script.to_owned();
        client.redirect_uris = vec![BACK.to_owned()];
    });
    let mut query = without(&asking("evil", &[]), "state");
    query.push(("state", "\"><script>"));
    let page = oauth2.page(Some(&oauth2.user("<b>ann")), &query);
    assert_eq!(page.status, 200, "{page:?}");
    for bad in ["<script", "<img", "<b>ann", "\u{202e}"] {
        assert!(!page.body.contains(bad), "{bad}: {}", page.body);
    }
    assert!(page.fields().contains(&("state".to_owned(), "\"><script>".to_owned())));
}

#[test]
fn a_token_that_is_less_than_its_user_gives_no_consent() {
    let oauth2 = server();
    let query = asking("app", &CHALLENGE);
    let of_a_client = tokens(&oauth2).text("access_token");
    let own = oauth2.token(APP, &[("grant_type", "client_credentials")]).text("access_token");
    let restricted = CreateToken::new("ann").handler("signed").restricted_to(TokenRestrictions::nothing());
    let restricted = oauth2.host.create_token_blocking(&restricted).unwrap().token;
    for token in [&of_a_client, &own, &restricted, "nonsense", ""] {
        is_told(&oauth2.page(Some(token), &query), 401);
    }
    let page = oauth2.page(None, &query);
    is_told(&page, 401);
    assert!(page.header("www-authenticate").starts_with("Bearer "));
}

#[test]
fn a_proxy_is_believed_when_it_is_one() {
    let settings = "user_header = 'X-Forwarded-User'\ntrusted_proxies = ['10.0.0.0/8', '::1']";
    let oauth2 = server_with(settings);
    let uri = format!("/oauth2/authorize?{}", encoded(&asking("app", &CHALLENGE)));
    let ask = |users: &[&str], peer: Peer| {
        let request = users.iter().fold(Request::get(&uri), |request, user| request.header("x-forwarded-user", *user));
        oauth2.ask(&request.body(Vec::new()).unwrap(), peer)
    };
    let at = |address: &str| Peer::Address(address.parse().unwrap());
    for peer in [at("10.1.2.3"), at("::ffff:10.1.2.3"), at("::1"), Peer::Trusted] {
        assert!(ask(&["ann"], peer).body.contains("<b>ann</b>"), "{peer:?}");
    }
    for peer in [at("11.1.2.3"), at("127.0.0.1"), Peer::Unknown] {
        is_told(&ask(&["ann"], peer), 401);
    }
    is_told(&ask(&["ann", "root"], Peer::Trusted), 401);
    is_told(&ask(&[""], Peer::Trusted), 401);
    is_told(&ask(&[], Peer::Trusted), 401);
    // Where nobody said that there is a proxy, nobody is believed.
    let request = Request::get(&uri).header("x-forwarded-user", "ann").body(Vec::new()).unwrap();
    is_told(&server().ask(&request, Peer::Trusted), 401);
}

#[test]
fn a_cookie_may_hold_the_token_and_a_page_is_where_to_get_it() {
    let oauth2 = server_with("user_cookie = 'session'\nlogin_url = 'https://login.example/in?a=b'");
    let user = oauth2.user("ann");
    let query = encoded(&asking("app", &CHALLENGE));
    let ask = |cookies: &[&str]| {
        let request = Request::get(format!("/oauth2/authorize?{query}"));
        let request = cookies.iter().fold(request, |request, cookie| request.header("cookie", *cookie));
        oauth2.ask(&request.body(Vec::new()).unwrap(), Peer::Unknown)
    };
    for good in [format!("session={user}"), format!("a=b; session=\"{user}\"; c=d")] {
        assert!(ask(&[&good]).body.contains("<b>ann</b>"), "{good}");
    }
    for bad in [&[][..], &["session="], &["Session=x"], &[&format!("session={user}; session={user}")]] {
        let (to, told) = ask(bad).sent_to();
        assert_eq!(to, "https://login.example/in");
        assert_eq!(told["next"], format!("{}/oauth2/authorize?{query}", OAuth2::ISSUER), "{bad:?}");
    }
    let unknown = encoded(&asking("nobody", &[]));
    let request = Request::get(format!("/oauth2/authorize?{unknown}")).body(Vec::new()).unwrap();
    is_told(&oauth2.ask(&request, Peer::Unknown), 400);
    is_told(&oauth2.decide(None, &[]), 401);
}

#[test]
fn an_issuer_may_have_a_path() {
    let oauth2 = OAuth2::of("https://auth.example/tenant", SCOPES, |_| {});
    oauth2.add("app", Some("xyz"), |client| client.redirect_uris = vec![BACK.to_owned()]);
    let told = oauth2.allow(&oauth2.user("ann"), &asking("app", &CHALLENGE));
    assert_eq!(told["iss"], "https://auth.example/tenant");
    is_error(&oauth2.token(APP, &[]), 400, "invalid_request");
    let request = Request::get("/.well-known/oauth-authorization-server/tenant").body(Vec::new()).unwrap();
    let metadata = oauth2.ask(&request, Peer::Unknown).json();
    assert_eq!(metadata["token_endpoint"], "https://auth.example/tenant/oauth2/token");
}
