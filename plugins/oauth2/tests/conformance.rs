//! The handler and its stores keep the contract.

use serde_json::{Value, json};
use token_host_tests::{Memcached, Postgres, Redis, RedisCluster, skipped};
use token_oauth2::register;
use token_plugin_api::conformance::{Outcome, assert_conforms};

/// The checks that were skipped; but for what can be measured on some systems only.
fn skipped_in(settings: &Value) -> Vec<String> {
    let report = assert_conforms(&settings.to_string(), register);
    let skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
    let checks = report.checks.iter().filter(|check| skipped(&check.outcome) && check.name != "growth");
    checks.map(ToString::to_string).collect()
}

#[test]
fn in_memory() {
    assert_eq!(skipped_in(&json!({ "url": "memory:" })), [""; 0]);
}

#[test]
fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tokens.db").display());
    assert_eq!(skipped_in(&json!({ "url": url })), [""; 0]);
}

#[test]
fn on_memcached_servers() {
    let Some(servers) =
        skipped("stores on memcached", (0..3).map(|_| Memcached::start()).collect::<Result<Vec<_>, _>>())
    else {
        return;
    };
    let addresses: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    let url = format!("memcached://{}", addresses.join(","));
    for distribution in ["ketama", "ketama_md5", "ketama_weighted"] {
        let memcached = json!({ "distribution": distribution });
        assert_eq!(skipped_in(&json!({ "url": url, "memcached": memcached })), [""; 0]);
    }
}

#[test]
fn on_redis() {
    let Some(server) = skipped("stores on Redis", Redis::start()) else { return };
    assert_eq!(skipped_in(&json!({ "url": server.url() })), [""; 0]);
}

#[test]
fn on_a_redis_cluster() {
    let Some(cluster) = skipped("stores on a Redis Cluster", RedisCluster::start()) else { return };
    assert_eq!(skipped_in(&json!({ "url": cluster.url() })), [""; 0]);
}

#[test]
fn in_postgresql() {
    let Some(server) = skipped("stores on PostgreSQL", Postgres::shared()) else { return };
    let url = server.fresh_database().url();
    assert_eq!(skipped_in(&json!({ "url": url })), [""; 0]);
}

#[test]
fn with_the_forms_of_python_oauth2() {
    for token in ["uuid4", "urandom"] {
        let skipped = skipped_in(&json!({ "token": token }));
        assert_eq!(skipped.len(), 1, "it is asked about every token: {skipped:?}");
        assert!(skipped[0].contains("claims"), "{skipped:?}");
    }
}
