//! The plugin keeps the contract, and leaves nothing behind when it is only made and dropped.

use std::{env, fs};

use token_audit::register;
use token_plugin_api::conformance::assert_conforms;

#[test]
fn it_conforms_and_creates_nothing() {
    let file = env::temp_dir().join(format!("token-audit-{}.jsonl", std::process::id()));
    let path = file.to_str().unwrap();
    for settings in [
        serde_json::json!({ "path": path }),
        serde_json::json!({ "path": path, "required": true, "keep_files": 3, "events": null }),
        serde_json::json!({ "path": path, "key": "a key for the tests alone, long enough", "fsync": "always" }),
    ] {
        assert_conforms(&settings.to_string(), register);
        assert!(fs::symlink_metadata(&file).is_err());
    }
}
