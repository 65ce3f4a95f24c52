//! The `[oauth2]` table: how the host is an authorization server.

use std::collections::BTreeMap;
use std::path::Path;

use http::HeaderName;
use toml::de::{DeTable, DeValue};

use super::keys::{Keys, Written, parsed, wrong_type};
use super::report::Report;
use super::resolve::Number;
use super::{Place, bounded_file};
use crate::oauth2::{Issuer, Network, UserFile, check_redirect_uri, is_scope};

/// The `[oauth2]` table. Where there is none, the host is no authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Settings {
    /// The URL that clients know the server by; that of its endpoints begins with it. To be said.
    pub issuer: Issuer,
    /// The name of the stores for access tokens, codes and clients. Default: `oauth2`, what the plugin of that name calls
    /// its own.
    pub store: String,
    /// The scopes that there are, each with what users read when they are asked. Default: none, so that no token is good
    /// for what nobody wrote down.
    pub scopes: BTreeMap<String, String>,
    /// What a client gets that names no scope. Default: none, the least there is.
    pub default_scopes: Vec<String>,
    /// What access tokens are. Default: [`AccessTokenFormat::Opaque`], which can be revoked at once.
    pub access_token: AccessTokenFormat,
    /// How long an access token lives. From 1 s to a day; default 3600: what is stolen is of little use, and a client
    /// comes back once an hour.
    pub access_token_seconds: u64,
    /// How long a refresh token lives; each use makes a new one that lives as long again. From 1 s to 10 years; default
    /// 2592000, 30 days: who uses an app once a month stays signed in.
    pub refresh_token_seconds: u64,
    /// How long a code lives. From 1 to 600 s, the most that RFC 6749 §4.1.2 allows; default 60: a client exchanges it at
    /// once, and who finds it in a log comes too late.
    pub code_seconds: u64,
    /// The header by which a trusted proxy says who the user is. Default: none is believed.
    pub user_header: Option<HeaderName>,
    /// The addresses of those whose `user_header` is believed. Default: none.
    pub trusted_proxies: Vec<Network>,
    /// The cookie that holds the signed-in user's token. Default: none; the token is in `Authorization` then.
    pub user_cookie: Option<String>,
    /// Where users sign in: they are sent there with the parameter `next`, the address to come back to. Default: none,
    /// and a page says that they are not signed in.
    pub login_url: Option<String>,
    /// Let clients exchange users' passwords for tokens (RFC 6749 §4.3). Default: false, since every client then sees
    /// passwords (RFC 9700 §2.4 forbids it).
    pub danger_allow_password_grant: bool,
    /// The users whose passwords are good for that. Default: none; an embedder may give others.
    pub users: Option<UserFile>,
    /// Where the table begins; `None` when no configuration has it.
    pub place: Option<Place>,
}

/// What access tokens are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessTokenFormat {
    /// Random characters that only the store knows anything of.
    #[default]
    Opaque,
    /// Made by the handler of this name, for instance `jwt`. A revocation ends them where that handler knows of revocations.
    Handler(String),
}

impl OAuth2Settings {
    /// Every default, for a server that is known by this URL.
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            store: STORE.to_owned(),
            scopes: BTreeMap::new(),
            default_scopes: Vec::new(),
            access_token: AccessTokenFormat::default(),
            access_token_seconds: ACCESS_TOKEN_SECONDS.default,
            refresh_token_seconds: REFRESH_TOKEN_SECONDS.default,
            code_seconds: CODE_SECONDS.default,
            user_header: None,
            trusted_proxies: Vec::new(),
            user_cookie: None,
            login_url: None,
            danger_allow_password_grant: false,
            users: None,
            place: None,
        }
    }
}

/// The table as written.
pub(super) struct RawOAuth2 {
    place: Place,
    issuer: Option<Written<String>>,
    /// Whether there is one at all, of whatever type.
    has_issuer: bool,
    store: Option<Written<String>>,
    scopes: Vec<(Written<String>, String)>,
    default_scopes: Vec<Written<String>>,
    access_token: AccessTokenFormat,
    access_token_seconds: Option<Written<i128>>,
    refresh_token_seconds: Option<Written<i128>>,
    code_seconds: Option<Written<i128>>,
    user_header: Option<Written<String>>,
    trusted_proxies: Vec<Written<String>>,
    user_cookie: Option<Written<String>>,
    login_url: Option<Written<String>>,
    danger_allow_password_grant: Option<Written<bool>>,
    users: Option<Written<String>>,
}

impl RawOAuth2 {
    pub(super) fn read(table: &Written<&DeTable<'_>>, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(table.value);
        let oauth2 = Self {
            place: table.place,
            has_issuer: table.value.contains_key("issuer"),
            issuer: keys.string("issuer", report),
            store: keys.string("store", report),
            scopes: scopes(&mut keys, report),
            default_scopes: keys.strings("default_scopes", report),
            access_token: access_token(&mut keys, report),
            access_token_seconds: keys.integer("access_token_seconds", report),
            refresh_token_seconds: keys.integer("refresh_token_seconds", report),
            code_seconds: keys.integer("code_seconds", report),
            user_header: keys.string("user_header", report),
            trusted_proxies: keys.strings("trusted_proxies", report),
            user_cookie: keys.string("user_cookie", report),
            login_url: keys.string("login_url", report),
            danger_allow_password_grant: keys.boolean("danger_allow_password_grant", report),
            users: keys.string("users", report),
        };
        keys.finish("", report);
        oauth2
    }
}

fn scopes(keys: &mut Keys<'_>, report: &mut Report<'_>) -> Vec<(Written<String>, String)> {
    let Some(table) = keys.table("scopes", report) else { return Vec::new() };
    let mut scopes = Vec::new();
    for (name, description) in table.value {
        let place = report.place(&name.span());
        match description.get_ref().as_str() {
            Some(text) => scopes.push((Written { value: name.get_ref().to_string(), place }, text.to_owned())),
            None => wrong_type("scopes", "a table of what each scope is for", description, report),
        }
    }
    scopes
}

fn access_token(keys: &mut Keys<'_>, report: &mut Report<'_>) -> AccessTokenFormat {
    let Some((_, value)) = keys.value("access_token", report) else { return AccessTokenFormat::Opaque };
    match value.get_ref() {
        DeValue::String(text) if text == "opaque" => AccessTokenFormat::Opaque,
        DeValue::Table(table) => {
            let mut keys = Keys::new(table);
            let handler = keys.string("handler", report);
            keys.finish("", report);
            if !table.contains_key("handler") {
                report.error(report.place(&value.span()), "`access_token` must name a `handler`");
            }
            handler.map_or(AccessTokenFormat::Opaque, |handler| AccessTokenFormat::Handler(handler.value))
        }
        _ => {
            report.error(report.place(&value.span()), "`access_token` must be \"opaque\" or { handler = \"NAME\" }");
            AccessTokenFormat::Opaque
        }
    }
}

/// Checks and resolves the table; `None` when it has no issuer to go by, which is in `report` then.
pub(super) fn resolve(raw: RawOAuth2, base: &Path, report: &mut Report<'_>) -> Option<OAuth2Settings> {
    let issuer = raw.issuer.and_then(|written| parsed("issuer", &written, report));
    if !raw.has_issuer {
        report.error(raw.place, "missing key `issuer`, expected the URL by which clients know this server");
    }
    let mut scopes = BTreeMap::new();
    for (name, description) in raw.scopes {
        if !is_scope(&name.value) {
            report.error(name.place, "a scope's name must be printable ASCII without space, `\"` and `\\`");
        }
        scopes.insert(name.value, description);
    }
    for scope in raw.default_scopes.iter().filter(|scope| !scopes.contains_key(&scope.value)) {
        report.error(scope.place, "`default_scopes` must be some of `scopes`");
    }
    let user_header = raw.user_header.and_then(|written| header_name(&written, report));
    let proxies = raw.trusted_proxies.iter().filter_map(|written| parsed("trusted_proxies", written, report)).collect();
    let (user_cookie, login_url) = (raw.user_cookie, raw.login_url);
    for written in user_cookie.iter().filter(|written| HeaderName::from_bytes(written.value.as_bytes()).is_err()) {
        report.error(written.place, "`user_cookie` must be the name of a cookie");
    }
    for written in login_url.iter().filter(|written| !is_login_url(&written.value)) {
        report.error(written.place, "`login_url` must be a URL of `https`, or a path from `/` on");
    }
    let allows_passwords = raw.danger_allow_password_grant.is_some_and(|written| written.value);
    if let Some(users) = raw.users.as_ref().filter(|_| !allows_passwords) {
        report.error(users.place, "`users` are for the password grant: expected `danger_allow_password_grant = true`");
    }
    let users = raw.users.and_then(|written| user_file(&written, base, report));
    let store = raw.store.map_or_else(|| STORE.to_owned(), |written| written.value);
    let access_token_seconds = ACCESS_TOKEN_SECONDS.read(raw.access_token_seconds, report);
    let refresh_token_seconds = REFRESH_TOKEN_SECONDS.read(raw.refresh_token_seconds, report);
    let code_seconds = CODE_SECONDS.read(raw.code_seconds, report);
    Some(OAuth2Settings {
        issuer: issuer?,
        store,
        scopes,
        default_scopes: raw.default_scopes.into_iter().map(|written| written.value).collect(),
        access_token: raw.access_token,
        access_token_seconds,
        refresh_token_seconds,
        code_seconds,
        user_header,
        trusted_proxies: proxies,
        user_cookie: user_cookie.map(|written| written.value),
        login_url: login_url.map(|written| written.value),
        danger_allow_password_grant: allows_passwords,
        users,
        place: Some(raw.place),
    })
}

fn header_name(written: &Written<String>, report: &mut Report<'_>) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(written.value.as_bytes()).ok();
    // What everybody sends with every request says nothing of who the user is.
    let name = name.filter(|name| ![http::header::AUTHORIZATION, http::header::COOKIE].contains(name));
    if name.is_none() {
        report.error(written.place, "`user_header` must be the name of a header, as in \"X-Forwarded-User\"");
    }
    name
}

fn is_login_url(url: &str) -> bool {
    let is_path = url.starts_with('/') && !url.starts_with("//");
    // What the browser is sent to is held to the rules of redirect URIs.
    let whole = if is_path { format!("https://localhost{url}") } else { url.to_owned() };
    whole.starts_with("http") && check_redirect_uri(&whole).is_ok()
}

fn user_file(written: &Written<String>, base: &Path, report: &mut Report<'_>) -> Option<UserFile> {
    let path = base.join(&written.value);
    let read = bounded_file::read(&path, MAX_USER_FILE_BYTES);
    let read = read.map_err(|problem| problem.to_string());
    let text = read.and_then(|(bytes, _)| String::from_utf8(bytes.to_vec()).map_err(|_| "it is not UTF-8".to_owned()));
    let users =
        text.and_then(|text| UserFile::parse(&text).map_err(|(line, expected)| format!("line {line}: {expected}")));
    users.map_err(|problem| report.error(written.place, format!("`users`: {}: {problem}", path.display()))).ok()
}

/// Ten thousand users.
const MAX_USER_FILE_BYTES: usize = 2 * 1024 * 1024;

const STORE: &str = "oauth2";

// The defaults' reasons stand with the public fields that they fill.
const ACCESS_TOKEN_SECONDS: Number<u64> =
    Number { key: "access_token_seconds", unit: "seconds", least: 1, largest: 86_400, default: 3600 };
const REFRESH_TOKEN_SECONDS: Number<u64> =
    Number { key: "refresh_token_seconds", unit: "seconds", least: 1, largest: 315_360_000, default: 30 * 86_400 };
const CODE_SECONDS: Number<u64> = Number { key: "code_seconds", unit: "seconds", least: 1, largest: 600, default: 60 };

#[cfg(test)]
mod tests {
    use super::super::{Config, MakeSecrets, Origin};
    use super::*;

    fn parse(text: &str, folder: &Path) -> Result<Option<OAuth2Settings>, String> {
        let config = Config::parse(text, Origin::Text, folder, MakeSecrets::Ephemeral);
        config.map(|config| config.oauth2).map_err(|found| found.to_string())
    }

    #[test]
    fn an_issuer_is_enough_and_everything_arrives() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(parse("", folder.path()), Ok(None));
        let mut expected = OAuth2Settings::new("https://auth.example".parse().unwrap());
        expected.place = Some(Place { line: 1, column: 2 });
        assert_eq!(parse("[oauth2]\nissuer = 'https://auth.example'", folder.path()), Ok(Some(expected)));
        std::fs::write(folder.path().join("users"), "").unwrap();
        let text = "[oauth2]\nissuer = 'http://localhost:1/x'\nstore = 's'\ndefault_scopes = ['a']\n\
                    access_token = { handler = 'jwt' }\naccess_token_seconds = 1\nrefresh_token_seconds = 2\n\
                    code_seconds = 3\nuser_header = 'X-Forwarded-User'\ntrusted_proxies = ['10.0.0.0/8']\n\
                    user_cookie = 'session'\nlogin_url = '/login'\ndanger_allow_password_grant = true\n\
                    users = 'users'\nscopes = { a = 'Everything', b = '' }";
        let settings = parse(text, folder.path()).unwrap().unwrap();
        let expected = OAuth2Settings {
            issuer: "http://localhost:1/x".parse().unwrap(),
            store: "s".to_owned(),
            scopes: [("a", "Everything"), ("b", "")].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            default_scopes: vec!["a".to_owned()],
            access_token: AccessTokenFormat::Handler("jwt".to_owned()),
            access_token_seconds: 1,
            refresh_token_seconds: 2,
            code_seconds: 3,
            user_header: Some(HeaderName::from_static("x-forwarded-user")),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            user_cookie: Some("session".to_owned()),
            login_url: Some("/login".to_owned()),
            danger_allow_password_grant: true,
            users: Some(UserFile::parse("").unwrap()),
            place: Some(Place { line: 1, column: 2 }),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn the_sample_says_what_holds() {
        let sample = include_str!("../../../plugins.toml");
        let (_, rest) = sample.split_once("\n# [oauth2]\n").unwrap();
        let (table, _) = rest.split_once("\n\n").unwrap();
        let is_setting = |line: &&str| {
            let is_key =
                line.split_once(" = ").is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            (is_key || line.starts_with('[')) && !line.starts_with("users")
        };
        let lines = table.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_setting);
        let text = format!("[oauth2]\n{}", lines.collect::<Vec<_>>().join("\n"));
        let sample = parse(&text, Path::new("/etc")).unwrap().unwrap();
        let mut expected = OAuth2Settings::new("https://auth.example".parse().unwrap());
        // Those that have no default, as examples.
        expected.scopes.insert("read".to_owned(), "See your notes".to_owned());
        (expected.user_cookie, expected.login_url) = (Some("session".to_owned()), Some("/login".to_owned()));
        expected.user_header = Some(HeaderName::from_static("x-forwarded-user"));
        expected.trusted_proxies = ["127.0.0.1", "10.0.0.0/8"].map(|network| network.parse().unwrap()).into();
        expected.place = sample.place;
        assert_eq!(sample, expected);
        assert_eq!(text.lines().count(), 15, "every key but `users`: {text}");
    }

    #[test]
    fn every_finding_comes_at_once() {
        let text = "[oauth2]\nstore = 1\naccess_token = 'jwt'\ncode_seconds = 601\naccess_token_seconds = 0\n\
                    user_header = 'a b'\ntrusted_proxies = ['localhost']\nuser_cookie = 'a;b'\nlogin_url = '//evil'\n\
                    users = 'missing'\ndefault_scopes = ['x']\nissuers = ''\nscopes = { 'a b' = '', c = 1 }";
        let found = parse(text, Path::new("/nowhere")).unwrap_err();
        let lines: Vec<&str> = found.lines().collect();
        for (line, says) in [
            "1:2: missing key `issuer`",
            "2:9: `store` must be a string",
            "3:16: `access_token` must be \"opaque\" or { handler = \"NAME\" }",
            "4:16: `code_seconds` must be from 1 to 600 seconds",
            "5:24: `access_token_seconds` must be from 1 to 86400 seconds",
            "6:15: `user_header` must be the name of a header",
            "7:20: `trusted_proxies` must be an address",
            "8:15: `user_cookie` must be the name of a cookie",
            "9:13: `login_url` must be a URL",
            "10:9: `users` are for the password grant",
            "10:9: `users`: ",
            "11:19: `default_scopes` must be some of `scopes`",
            "12:1: unknown key `issuers`",
            "13:12: a scope's name must be printable ASCII",
            "13:28: `scopes` must be a table of what each scope is for, found a whole number",
        ]
        .into_iter()
        .enumerate()
        {
            let expected = format!("<string>:{says}");
            assert!(lines.get(line).is_some_and(|found| found.starts_with(&expected)), "{says}, found\n{found}");
        }
        assert_eq!(lines.len(), 15, "{found}");
        let found = parse("[oauth2]\nissuer = 'https://auth.example/'\naccess_token = {}", Path::new("/")).unwrap_err();
        assert!(found.contains("2:10: `issuer` must be a URL") && found.contains("must name a `handler`"), "{found}");
    }
}
