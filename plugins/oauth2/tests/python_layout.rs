//! The stores keep the contract in the layout of python-oauth2 too, but for what that library cannot keep.

use serde_json::json;
use token_host_tests::{Memcached, Redis, RedisCluster, skipped};
use token_oauth2::register;
use token_plugin_api::conformance::{Outcome, assert_conforms};

#[test]
fn on_all_that_it_can_be_on() {
    let test = "on_all_that_it_can_be_on";
    let Some(redis) = skipped(test, Redis::start()) else { return };
    let Some(cluster) = skipped(test, RedisCluster::start()) else { return };
    let Some(memcached) = skipped(test, Memcached::start()) else { return };
    for url in [redis.url(), cluster.url(), format!("memcached://127.0.0.1:{}", memcached.port())] {
        let settings = json!({ "url": url, "layout": "python-oauth2" });
        let report = assert_conforms(&settings.to_string(), register);
        let checks = report.checks.iter().filter(|check| check.name != "growth");
        let mut skipped: Vec<String> =
            checks.filter(|check| matches!(check.outcome, Outcome::Skipped(_))).map(ToString::to_string).collect();
        skipped.sort();
        // A client with a hashed secret is refused, and nothing tells which keys are a user's.
        let expected = [
            "skipped clients_are_kept of `oauth2`: `add_client` is not offered",
            "skipped clients_are_listed of `oauth2`: `list_clients` is not offered",
            "skipped tokens_are_revoked of `oauth2`: `revoke_tokens_of_user` is not offered",
        ];
        assert_eq!(skipped, expected, "{url}");
    }
}
