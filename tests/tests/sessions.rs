//! Sessions that a token signed in: they end with it, at the next use, and never do more than it.

use serde_json::json;
use token_host::{
    Actor, CreateToken, DeleteTokens, ErrorKind, Expires, Host, InvalidateTokens, ListActors, ReasonKind, SetActors,
    StaticPlugin, TokenDetails, TokenRecord, TokenRestrictions, TokenSelector, UpdateToken, Verdict, block_on,
    session::TokenSession,
    token_plugin_api::{ActorPage, Call, Hooks, InactiveActor, NoConfig, Result, TokenHandler},
};
use token_host_tests::{JWT_SECRET, Made, OAuth2, Place, Plugin, Scratch, SetClock, invalidate, on_each_database};

on_each_database! {
    a_session_holds_no_token_and_ends_when_it_is_revoked,
    a_session_ends_at_the_second_its_token_expires,
    a_deactivated_actor_has_no_sessions,
    a_session_ends_when_its_token_is_gone_or_anothers,
    a_session_may_do_what_its_token_may_at_the_moment,
    a_database_that_is_down_keeps_no_session_valid,
    a_handler_that_is_gone_has_no_sessions,
}

const NOW: u64 = Place::NOW;

fn session(host: &Host, token: &str) -> TokenSession {
    let session = block_on(host.session(token)).unwrap().unwrap();
    // As it comes back from where it was kept.
    serde_json::from_str(&serde_json::to_string(&session).unwrap()).unwrap()
}

/// What kind of bad it is; none: the session is valid.
fn over(host: &Host, session: &TokenSession) -> Option<ReasonKind> {
    match block_on(session.check(host)) {
        Ok(_) => None,
        Err(error) => match error.kind() {
            ErrorKind::TokenInvalid(reason) => Some(reason.kind()),
            kind => panic!("it cannot be told ({kind:?}): {error}"),
        },
    }
}

fn kind_of<T: std::fmt::Debug>(answer: std::result::Result<T, token_host::Error>) -> ErrorKind {
    answer.unwrap_err().kind().clone()
}

fn a_session_holds_no_token_and_ends_when_it_is_revoked(place: Place) {
    let host = place.host();
    let (made, other) = (Made::by(&host, "root"), Made::by(&host, "root"));
    let (ours, others) = (session(&host, &made.token), session(&host, &other.token));
    assert_eq!((ours.handler(), ours.actor_id(), ours.expires_at()), ("database", "root", None));
    assert_eq!(ours.token_id(), made.id);
    let kept = serde_json::to_string(&ours).unwrap();
    let secret = made.token.split('_').next_back().unwrap();
    assert!(kept.len() < 128 && !kept.contains(secret), "{kept}");
    let actor = block_on(ours.check(&host)).unwrap();
    assert_eq!(json!(actor), json!(block_on(host.verify_token(&made.token)).unwrap().unwrap()));
    invalidate(&host, made.by_id(), "it leaked").unwrap();
    assert_eq!((over(&host, &ours), over(&host, &others)), (Some(ReasonKind::Revoked), None));
    // By another process, with nothing that tells this one of it.
    let run = place.scratch.run(["invalidate", "--id", &other.id]);
    assert_eq!(run.code(), 0, "{run}");
    assert_eq!(over(&host, &others), Some(ReasonKind::Revoked));
    let mut again = UpdateToken::new(made.by_id());
    again.valid = Some(true);
    block_on(host.update_token(None, &again)).unwrap();
    assert_eq!(over(&host, &ours), None, "what the token is, the session is");
}

fn a_session_ends_at_the_second_its_token_expires(place: Place) {
    let host = place.host();
    let made = Made::of(&host, &CreateToken::new("root").expires_after(600)).unwrap();
    let ours = session(&host, &made.token);
    assert_eq!(ours.expires_at(), Some(NOW + 600));
    place.clock.set(NOW + 599);
    assert_eq!(over(&host, &ours), None);
    place.clock.set(NOW + 600);
    assert_eq!(over(&host, &ours), Some(ReasonKind::Expired));
    place.clock.set(NOW);
    let at = |at| {
        let mut request = UpdateToken::new(made.by_id());
        request.expires = Some(at);
        block_on(host.update_token(None, &request)).unwrap();
    };
    at(Expires::At(NOW + 10));
    place.clock.set(NOW + 10);
    assert_eq!(over(&host, &ours), Some(ReasonKind::Expired), "it was made to expire sooner");
    place.clock.set(NOW);
    at(Expires::Never);
    place.clock.set(NOW + 600);
    assert_eq!(over(&host, &ours), Some(ReasonKind::Expired), "no session is longer than it was to be");
    assert_eq!(over(&host, &session(&host, &made.token)), None);
}

fn a_deactivated_actor_has_no_sessions(place: Place) {
    let host = place.host();
    let (ours, others) =
        (session(&host, &Made::by(&host, "root").token), session(&host, &Made::by(&host, "roo").token));
    // More of them than there are on a page, on either side.
    let many = (0..150).map(|number| format!("r{number:03}")).chain((0..150).map(|number| format!("s{number:03}")));
    block_on(host.set_actors(None, &SetActors::deactivate(many, ""))).unwrap();
    assert_eq!(over(&host, &ours), None);
    block_on(host.set_actors(None, &SetActors::deactivate(["root"], "they left"))).unwrap();
    assert_eq!((over(&host, &ours), over(&host, &others)), (Some(ReasonKind::Disabled), None));
    block_on(host.set_actors(None, &SetActors::activate(["root"]))).unwrap();
    assert_eq!(over(&host, &ours), None);
}

fn a_session_ends_when_its_token_is_gone_or_anothers(place: Place) {
    let host = place.host();
    let made = Made::by(&host, "root");
    let ours = session(&host, &made.token);
    let whose = |actor: &str| place.sql(&format!("UPDATE tokens SET actor_id = '{actor}' WHERE id = {}", made.id));
    whose("mallory");
    assert_eq!(over(&host, &ours), Some(ReasonKind::Revoked));
    whose("root");
    assert_eq!(over(&host, &ours), None);
    invalidate(&host, made.by_id(), "").unwrap();
    place.clock.set(NOW + 10);
    let deleted = block_on(host.delete_tokens(None, &DeleteTokens::new(NOW + 5))).unwrap();
    assert_eq!((deleted.count, over(&host, &ours)), (1, Some(ReasonKind::Revoked)));
    let mut forged = serde_json::to_value(&ours).unwrap();
    for id in ["0", "-1", "x", ""] {
        forged["token_id"] = json!(id);
        assert_eq!(over(&host, &serde_json::from_value(forged.clone()).unwrap()), Some(ReasonKind::Revoked), "{id}");
    }
}

fn a_session_may_do_what_its_token_may_at_the_moment(mut place: Place) {
    place.set("policy_default = 'deny'");
    let host = place.host();
    let restrictions = TokenRestrictions::nothing().allow_all("view-instance");
    let mut details = TokenDetails::default();
    details.policy = Some(json!({ "resources": { "review": { "*": { "allow": ["GET"] } } } }));
    let mut request = CreateToken::new("root").with_details(details);
    request.restrictions = Some(restrictions.clone());
    let made = Made::of(&host, &request).unwrap();
    let ours = session(&host, &made.token);
    let actor = block_on(ours.check(&host)).unwrap();
    assert_eq!(json!(actor), json!(block_on(host.verify_token(&made.token)).unwrap().unwrap()));
    assert!(actor.allows("view-instance", None, None) && !actor.allows("insert-row", None, None));
    assert!(actor.allows_resource("review", "GET", None) && !actor.allows_resource("review", "PUT", None));
    assert!(!actor.allows_resource("user", "GET", None), "what no rule names is denied");
    let mut update = UpdateToken::new(made.by_id());
    update.policy = Some(json!({ "resources": { "review": { "*": { "block": ["*"] } } } }));
    block_on(host.update_token(None, &update)).unwrap();
    assert!(!block_on(ours.check(&host)).unwrap().allows_resource("review", "GET", None));
}

fn a_database_that_is_down_keeps_no_session_valid(place: Place) {
    let host = place.host();
    let made = Made::by(&host, "root");
    let ours = session(&host, &made.token);
    for table in ["tokens", "inactive_actors"] {
        place.sql(&format!("ALTER TABLE {table} RENAME TO away"));
        assert_eq!(kind_of(block_on(ours.check(&host))), ErrorKind::Plugin, "{table}");
        place.sql(&format!("ALTER TABLE away RENAME TO {table}"));
        assert_eq!(over(&host, &ours), None, "{table}");
    }
}

fn a_handler_that_is_gone_has_no_sessions(mut place: Place) {
    let host = place.host();
    let ours = session(&host, &Made::by(&host, "root").token);
    place.scratch.no_entries().signed("");
    host.reload().unwrap();
    assert_eq!(over(&host, &ours), Some(ReasonKind::Disabled));
}

#[test]
fn only_tokens_that_are_kept_make_sessions() {
    let mut scratch = Scratch::new();
    scratch.signed("").plugin(
        "jwt",
        Plugin::Jwt,
        &format!("secret = '{JWT_SECRET}'\nrevocation = {{ poll_ms = 100 }}"),
    );
    let host = Host::builder().config_file(scratch.config()).clock(SetClock::at(NOW)).build().unwrap();
    let create = |handler: &str| host.create_token_blocking(&CreateToken::new("ann").handler(handler)).unwrap();
    let (signed, jwt) = (create("signed"), create("jwt"));
    assert_eq!(kind_of(block_on(host.session(&signed.token))), ErrorKind::Unsupported);
    assert_eq!(kind_of(block_on(host.session(&jwt.token))), ErrorKind::Unsupported, "only its revocation is kept");
    let revoke = InvalidateTokens::new(TokenSelector::Id(jwt.id.unwrap()), "it leaked");
    host.invalidate_tokens_blocking(Some("jwt"), &revoke).unwrap();
    assert!(matches!(kind_of(block_on(host.session(&jwt.token))), ErrorKind::TokenInvalid(_)));
    assert!(block_on(host.session("nobody's")).unwrap().is_none());
}

#[test]
fn an_access_token_s_session_has_its_scopes_and_restrictions() {
    let oauth2 = OAuth2::new("");
    let host = &oauth2.host;
    let mut details = TokenDetails::default();
    details.extra.insert("scope".to_owned(), json!("read write"));
    details.extra.insert("client_id".to_owned(), json!("app"));
    let mut request = CreateToken::new("ann").handler("oauth2").expires_after(600).with_details(details);
    request.restrictions = Some(TokenRestrictions::nothing().allow_all("view-instance"));
    let made = Made::of(host, &request).unwrap();
    let ours = session(host, &made.token);
    let actor = block_on(ours.check(host)).unwrap();
    assert_eq!(json!(actor), json!(block_on(host.verify_token(&made.token)).unwrap().unwrap()));
    assert!(!actor.allows("insert-row", None, None));
    invalidate_one(host, &made);
    assert_eq!(over(host, &ours), Some(ReasonKind::Revoked));
    let expiring = session(host, &Made::of(host, &request).unwrap().token);
    oauth2.clock.set(NOW + 600);
    assert_eq!(over(host, &expiring), Some(ReasonKind::Expired));
}

fn invalidate_one(host: &Host, made: &Made) {
    host.invalidate_tokens_blocking(Some("oauth2"), &InvalidateTokens::new(made.by_id(), "")).unwrap();
}

/// A handler that keeps tokens, and tells little of them: whether they are there, and who is deactivated, one by one.
struct Terse;

impl TokenHandler for Terse {
    fn name(&self) -> &str {
        "terse"
    }

    fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
        let actor = Actor::new("ann", "terse").claim("token_id", "1");
        Ok(Verdict::Accepted(match token {
            "restricted" => actor.restricted_to(TokenRestrictions::nothing()),
            "scoped" => actor.claim("scope", "read"),
            "policed" => actor.claim("policy", json!({ "resources": { "*": { "block": ["*"] } } })),
            "unreadable" => actor.claim("policy", "none"),
            "nameless" => Actor::new("ann", "terse"),
            "renamed" => actor.claim("token_id", "2"),
            _ => actor,
        }))
    }

    /// Whatever it is asked for.
    fn get_token(&self, _: &Call<'_>, _: &TokenSelector) -> Result<Option<TokenRecord>> {
        Ok(Some(TokenRecord::new("1", "ann", None)))
    }

    /// Those that are named by the time, whoever it is asked for.
    fn list_inactive_actors(&self, call: &Call<'_>, request: &ListActors) -> Result<ActorPage> {
        let after: u64 = request.after.as_deref().map_or(0, |after| after.parse().unwrap());
        let actor = if after == call.now() { "ann".to_owned() } else { format!("other {after}") };
        Ok(ActorPage::new(vec![InactiveActor::new(actor, 1, "")], Some((after + 1).to_string())))
    }
}

#[test]
fn a_handler_that_tells_less_than_it_knows_makes_no_sessions() {
    let clock = SetClock::at(0);
    let plugin = StaticPlugin::new("terse", |hooks: &mut Hooks, _: NoConfig| {
        hooks.handler(Terse);
        Ok(())
    });
    let host = Host::builder().plugin(plugin).clock(clock.clone()).build().unwrap();
    let kind = |token: &str| kind_of(block_on(host.session(token)));
    for first_or_late in [0, 50] {
        clock.set(first_or_late);
        assert!(matches!(kind("plain"), ErrorKind::TokenInvalid(reason) if reason.kind() == ReasonKind::Disabled));
    }
    clock.set(1_000_000);
    assert_eq!(kind("plain"), ErrorKind::Plugin, "a list without an end tells of nobody that he is not on it");
    assert_eq!(kind("nameless"), ErrorKind::Unsupported);
    assert!(matches!(kind("renamed"), ErrorKind::TokenInvalid(_)), "it is not the one that was asked for");

    let silent = StaticPlugin::new("silent", |hooks: &mut Hooks, _: NoConfig| {
        hooks.handler(Silent);
        Ok(())
    });
    let host = Host::builder().plugin(silent).build().unwrap();
    assert_eq!(over(&host, &session(&host, "plain")), None);
    for narrowed in ["restricted", "scoped", "policed", "unreadable"] {
        assert_eq!(kind_of(block_on(host.session(narrowed))), ErrorKind::Unsupported, "{narrowed}");
    }
}

/// The same, which deactivates nobody.
struct Silent;

impl TokenHandler for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        Terse.verify_token(call, token)
    }

    fn get_token(&self, call: &Call<'_>, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        Terse.get_token(call, token)
    }
}
