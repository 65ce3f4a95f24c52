//! What becomes of operations that are cut short, or that meet: what the conformance suite cannot bring about from outside.

use std::sync::{Arc, Mutex};

use pollster::block_on;
use token_plugin_api::{
    ACCESS_TOKEN, AccessToken, AccessTokenStore, Hooks, NoConfig, PluginError, Result, testing::TestHost,
};

use super::{Kept, KeptTokens, families::family};
use crate::items::{FamilyRecord, Key, Kind, Memory, Stored, TokenRecord};

const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3_600;

/// A store in memory, and the host whose clock it has.
fn store() -> (Arc<Kept>, KeptTokens, TestHost) {
    let handle = Arc::new(Mutex::new(None));
    let taken = Arc::clone(&handle);
    let take = move |hooks: &mut Hooks, _: NoConfig| -> Result<()> {
        *taken.lock().unwrap() = Some(hooks.host().clone());
        Ok(())
    };
    let host = TestHost::new("{}", take).unwrap();
    host.set_now(NOW);
    let items = Arc::new(Memory::new(1_000));
    let handle = handle.lock().unwrap().take().unwrap();
    let kept = Arc::new(Kept { name: "test".to_owned(), items, host: handle });
    (Arc::clone(&kept), KeptTokens(kept), host)
}

fn token(value: &str) -> AccessToken {
    let mut token = AccessToken::new("web", "authorization_code", value);
    token.refresh_token = Some(format!("refresh-{value}"));
    token.user_id = Some("ann".to_owned());
    token.family_id = Some("family".to_owned());
    token.expires_at = Some(NOW + HOUR);
    token.refresh_expires_at = Some(NOW + 30 * 24 * HOUR);
    token
}

fn is_there(tokens: &KeptTokens, value: &str) -> bool {
    match block_on(tokens.fetch_by_token(value)) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, PluginError::not_found(ACCESS_TOKEN));
            false
        }
    }
}

#[test]
fn a_revocation_that_was_cut_short_is_done_by_the_next() {
    let (kept, tokens, _host) = store();
    block_on(tokens.save_token(&token("a"))).unwrap();
    // As if whoever revoked it had died after saying so.
    let members = vec![Key::new(Kind::Token, ["a"]), Key::new(Kind::RefreshToken, ["refresh-a"])];
    let revoked = Stored::Family(FamilyRecord::Revoked { members });
    block_on(kept.items.put(family("family"), revoked, None, NOW)).unwrap();
    assert!(is_there(&tokens, "a"));
    block_on(tokens.revoke_family("family")).unwrap();
    assert!(!is_there(&tokens, "a"));
    assert!(block_on(tokens.fetch_by_refresh_token("refresh-a")).is_err());
}

#[test]
fn a_family_is_known_to_be_revoked_for_as_long_as_its_tokens_might_be_used() {
    let (_kept, tokens, host) = store();
    block_on(tokens.save_token(&token("a"))).unwrap();
    block_on(tokens.revoke_family("family")).unwrap();
    host.set_now(NOW + 30 * 24 * HOUR - 1);
    let mut late = token("b");
    (late.expires_at, late.refresh_expires_at) = (None, None);
    assert_eq!(block_on(tokens.save_token(&late)).unwrap_err(), PluginError::not_found(ACCESS_TOKEN));
    assert!(!is_there(&tokens, "b"));
}

#[test]
fn what_comes_after_its_users_tokens_were_revoked_is_found_by_the_next_revocation() {
    let (kept, tokens, _host) = store();
    let (set, key) = (Key::new(Kind::TokensOfUser, ["ann"]), Key::new(Kind::Token, ["a"]));
    // Of a token that is being kept only its place in the set is there yet.
    block_on(kept.items.note(set, key, None, NOW)).unwrap();
    assert_eq!(block_on(tokens.revoke_tokens_of_user("ann")).unwrap(), 0);
    let record = TokenRecord {
        client_id: "web".into(),
        grant_type: "password".into(),
        data: serde_json::Map::new(),
        expires_at: None,
        refresh_expires_at: None,
        scopes: [].into(),
        user_id: Some("ann".to_owned()),
        family_id: None,
        refresh: None,
    };
    block_on(kept.items.put(key, Stored::Token(record.into()), None, NOW)).unwrap();
    assert!(is_there(&tokens, "a"));
    assert_eq!(block_on(tokens.revoke_tokens_of_user("ann")).unwrap(), 1);
    assert!(!is_there(&tokens, "a"));
}

#[test]
fn a_clients_own_tokens_are_revoked_without_those_of_its_users() {
    let (kept, tokens, _host) = store();
    block_on(tokens.save_token(&token("users"))).unwrap();
    block_on(tokens.save_token(&AccessToken::new("web", "client_credentials", "own"))).unwrap();
    assert_eq!(block_on(kept.revoke_own_of_client("web")).unwrap(), [Key::new(Kind::Token, ["own"])]);
    assert!(is_there(&tokens, "users") && !is_there(&tokens, "own"));
}
