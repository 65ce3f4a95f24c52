//! Whole configurations, from text or file to what the host gets of them.

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Origin::Text, Path::new("/etc/token"), MakeSecrets::Ephemeral)
        .map_err(|found| found.to_string())
}

fn from_file(path: &Path) -> String {
    Config::from_file(path, MakeSecrets::Ephemeral).unwrap_err().to_string()
}

#[test]
fn nothing_is_fine_and_means_the_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.host, HostSettings::default());
    assert!(config.plugins.is_empty() && config.warnings.is_empty());
    let config = parse("\u{FEFF}[host]\n[[plugin]]\nname = 'signed'").unwrap();
    let plugin = &config.plugins[0];
    assert_eq!((plugin.file.clone(), plugin.sha256), (LibraryName::Bare("token_signed".to_owned()), None));
    assert_eq!((plugin.tryfirst, plugin.trylast, plugin.wrapper), (None, None, None));
    assert_eq!(
        (plugin.on_error, plugin.deadline, plugin.max_blocking_calls),
        (OnError::Stop, Duration::from_secs(1), 16)
    );
    assert_eq!((plugin.breaker_failures, plugin.breaker_pause), (10, Duration::from_secs(5)));
    assert_eq!((plugin.settings.json(), plugin.place), ("{}", Some(Place { line: 2, column: 1 })));
    assert_eq!(plugin.settings.place_of("secret"), plugin.place);
}

#[cfg(unix)]
#[test]
fn every_key_arrives() {
    let text = "[host]\ndrop_in = 'plugins.d'\nsearch = ['a', '/b']\nmax_token_bytes = 1\n\
                event_queue = 3\nmax_plugin_bytes = 4\ndanger_insecure_permissions = true\n\
                superseded_warning_bytes = 0\n[[plugin]]\nname = 'x'\n\
                tryfirst = true\ntrylast = false\nwrapper = false\non_error = 'continue'\ndeadline_ms = 5\n\
                max_blocking_calls = 6\nbreaker_failures = 0\nbreaker_pause_ms = 8\n[plugin.config]\nttl = 7\nsecret = { env = 'PATH' }";
    let config = parse(text).unwrap();
    let host = HostSettings {
        drop_in: Some("/etc/token/plugins.d".into()),
        search: vec!["/etc/token/a".into(), "/b".into()],
        max_token_bytes: 1,
        event_queue: 3,
        max_plugin_bytes: 4,
        danger_insecure_permissions: true,
        superseded_warning_bytes: 0,
    };
    assert_eq!(config.host, host);
    let plugin = &config.plugins[0];
    assert_eq!((plugin.tryfirst, plugin.trylast, plugin.wrapper), (Some(true), Some(false), Some(false)));
    assert_eq!(
        (plugin.on_error, plugin.deadline, plugin.max_blocking_calls),
        (OnError::Continue, Duration::from_millis(5), 6)
    );
    assert_eq!((plugin.breaker_failures, plugin.breaker_pause), (0, Duration::from_millis(8)));
    assert_eq!(plugin.settings.place_of("ttl"), Some(Place { line: 20, column: 1 }));
    let path = std::env::var("PATH").unwrap();
    assert!(plugin.settings.json().contains(&path) && !format!("{config:?}").contains(&path), "held, and not shown");
}

#[test]
fn all_findings_of_all_plugins_come_at_once() {
    let text = "[hots]\n[host]\nmax_tokens = 1\n[[plugin]]\nname = 'signed'\nsecrt = 1\nfile = 2\n\
                [plugin.config]\nsecret = { env = 'TOKEN_HOST_NOT_SET' }\nother = inf\n[[plugin]]\nname = 'signed'\n\
                deadline_ms = 0\n[[plugin]]\ndeadline_ms = 0";
    let keys = "`name`, `file`, `sha256`, `tryfirst`, `trylast`, `wrapper`, `on_error`, `deadline_ms`, \
                `manage_deadline_ms`, `max_blocking_calls`, `breaker_failures`, `breaker_pause_ms`, `config`";
    assert_eq!(
        parse(text).unwrap_err(),
        format!(
            "<string>:1:2: unknown key `hots`, expected one of `host`, `preflight`, `trust`, `oauth2`, `http`, `plugin`; did \
             you mean `host`?\n\
             <string>:3:1: unknown key `max_tokens`, expected one of `drop_in`, `search`, `max_token_bytes`, \
             `event_queue`, `max_plugin_bytes`, `danger_insecure_permissions`, \
             `superseded_warning_bytes`; did you mean `max_token_bytes`?\n\
             <string>:6:1: plugin \"signed\": unknown key `secrt`, expected one of {keys} (the plugin's own settings \
             go under [plugin.config])\n\
             <string>:7:8: plugin \"signed\": `file` must be a string, found a whole number\n\
             <string>:9:1: plugin \"signed\": `secret`: the environment variable `TOKEN_HOST_NOT_SET` is not set\n\
             <string>:10:1: plugin \"signed\": `other`: expected a finite number of at most 64 bits, not nan or inf\n\
             <string>:12:1: plugin \"signed\": the name is already used by the plugin at line 4\n\
             <string>:13:15: plugin \"signed\": `deadline_ms` must be from 1 to 600000 milliseconds\n\
             <string>:14:1: missing key `name`, expected a name that no other plugin has\n\
             <string>:15:15: `deadline_ms` must be from 1 to 600000 milliseconds"
        )
    );
}

#[test]
fn warnings_come_with_a_configuration_that_works() {
    let config = parse("[[plugin]]\nname = 'x'\ntryfirst = true\ntrylast = true").unwrap();
    let shown: Vec<String> = config.warnings.iter().map(Finding::to_string).collect();
    let expected = "`tryfirst` and `trylast` are both true: `trylast` wins, as in pluggy";
    assert_eq!(shown, [format!("<string>:4:11: warning: plugin \"x\": {expected}")]);
}

#[test]
fn a_syntax_error_has_its_place_and_shows_no_value() {
    assert_eq!(
        parse("[host]\n\nsearch = hunter2").unwrap_err(),
        "<string>:3:10: string values must be quoted, expected literal string"
    );
    assert_eq!(parse("a = 1\na = 2").unwrap_err(), "<string>:2:1: duplicate key");
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugins.toml");
    let unreadable = |problem: &str| format!("{}: cannot read the configuration: {problem}", path.display());
    assert_eq!(from_file(&path), unreadable("there is no such file"));
    std::fs::create_dir(&path).unwrap();
    assert_eq!(from_file(&path), unreadable("expected a file, found a folder"));
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, vec![b'#'; MAX_CONFIG_BYTES + 1]).unwrap();
    assert_eq!(from_file(&path), unreadable("expected at most 1024 KiB"));
    std::fs::write(&path, b"# one\n# tw\xFF\n").unwrap();
    assert_eq!(from_file(&path), format!("{}: expected UTF-8 text, found other bytes in line 2", path.display()));
}

#[test]
fn a_file_s_paths_are_relative_to_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugins.toml");
    std::fs::write(
        &path,
        "[host]\ndrop_in = 'plugins.d'\n[[plugin]]\nname = 'x'\nconfig.secret = { file = 'key', generate = true }",
    )
    .unwrap();
    let config = Config::from_file(&path, MakeSecrets::Create).unwrap();
    assert_eq!(config.host.drop_in, Some(folder.path().join("plugins.d")));
    let key = folder.path().join("key");
    let notice = format!("{}:5:8: notice: plugin \"x\": made a new secret in {}", path.display(), key.display());
    assert_eq!(config.warnings[0].to_string(), notice);
    let secret = std::fs::read_to_string(&key).unwrap();
    assert_eq!(config.plugins[0].settings.json(), format!("{{\"secret\":\"{}\"}}", secret.trim_end()));
    assert_eq!(Config::from_file(&path, MakeSecrets::Create).unwrap().warnings, []);
}

#[test]
fn the_deepest_document_that_parses_is_refused_and_freed() {
    let key = ["a"; 79].join(".");
    let deep = format!("[{key}]\n{key} = {}1{}", format!("{{{key} = ").repeat(78), "}".repeat(78));
    assert!(parse(&deep).unwrap_err().starts_with("<string>:1:"));
    assert!(parse(&format!("{deep}\n{key} = 2")).is_err());
}
