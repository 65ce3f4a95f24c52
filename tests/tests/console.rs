//! The console in a real browser: signing in, what is kept of the token, keys alone, and how its parts are served.

use fantoccini::key::Key;
use serde_json::json;
use token_host_tests::{Browser, JWT_SECRET, Plugin, Scratch, Served, skipped, wait_until};

/// The console of a real service, in a real browser.
pub(crate) struct Console {
    pub(crate) scratch: Scratch,
    pub(crate) served: Served,
    pub(crate) browser: Browser,
    /// A token with which one may enter.
    pub(crate) admin: String,
}

impl Console {
    /// One with the plugins `database`, `signed` and `jwt`, in this call order; none, when there is no browser.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let browser = skipped(test, Browser::start())?;
        let mut scratch = Scratch::new();
        let jwt = format!("secret = '{JWT_SECRET}'\nrevocation = {{ url = 'none' }}");
        scratch.plugin_with("jwt", Plugin::Jwt, "trylast = true # the others come first", &jwt).signed("");
        scratch.entry("# Keeps tokens.");
        // A busy machine is no reason to say that the store is down.
        let patient = "deadline_ms = 30000";
        scratch.plugin_with("database", Plugin::Database, patient, "url = 'sqlite:tokens.db'\nlast_used_seconds = 0");
        let admin = made(&scratch, &["root", "--all", "admin", "--handler", "database", "--note", "the operator's"]);
        let served = Served::start(&scratch);
        let console = Self { scratch, served, browser, admin };
        console.browser.open(&format!("{}/console", console.served.url));
        Some(console)
    }

    /// Signs in, and waits for the first section.
    pub(crate) fn sign_in(&self) {
        self.browser.fill("//input[contains(@class, 'secret')]", &self.admin);
        self.browser.click("//button[.='Sign in']");
        self.browser.find("//h1[.='Plugins']");
    }

    /// Goes to a section.
    pub(crate) fn section(&self, title: &str) {
        self.browser.click(&format!("//nav//a[.='{title}']"));
        self.browser.find(&format!("//main//h1[.='{title}']"));
    }

    /// Nothing went wrong in the page, but for answers with this status that it knows what to do with.
    #[track_caller]
    pub(crate) fn is_content(&self, expected_status: Option<u16>) {
        let complaints = self.browser.complaints();
        let expected = expected_status.map(|status| format!("status of {status} "));
        let is_expected = |line: &String| expected.as_ref().is_some_and(|expected| line.contains(expected.as_str()));
        let others: Vec<_> = complaints.into_iter().filter(|line| !is_expected(line)).collect();
        assert!(others.is_empty(), "{others:?}");
        assert_eq!(
            self.browser.script("return window.hit ?? null"),
            json!(null),
            "no script ran that is not the page's"
        );
    }

    /// A text is nowhere: not in the page, not in a field, not in its address, not in anything that the browser keeps.
    #[track_caller]
    pub(crate) fn is_nowhere(&self, secret: &str) {
        let secret = json!(secret);
        let found = self.browser.script(&format!(
            "const everywhere = [document.documentElement.outerHTML, location.href, document.title, document.cookie, \
             ...[localStorage, sessionStorage, history.state].map((kept) => JSON.stringify({{ ...kept }})), \
             ...performance.getEntries().map((entry) => entry.name), \
             ...[...document.querySelectorAll('input, textarea')].map((field) => field.value)]; \
             return everywhere.map(String).filter((text) => text.includes({secret})).map((text) => text.slice(0, 200))"
        ));
        assert_eq!(found, json!([]));
    }
}

/// A token that the command line makes.
pub(crate) fn made(scratch: &Scratch, arguments: &[&str]) -> String {
    let run = scratch.run(["create"].iter().chain(arguments));
    assert_eq!(run.code(), 0, "{run}");
    run.stdout.trim().to_owned()
}

#[test]
fn only_an_admin_token_opens_it_and_it_is_kept_in_memory_alone() {
    let Some(console) = Console::start("the console") else { return };
    let Console { scratch, browser, .. } = &console;
    let (field, button) = ("//input[contains(@class, 'secret')]", "//button[.='Sign in']");
    let other = made(scratch, &["ann", "--handler", "signed"]);
    let mut forged = console.admin.clone();
    forged.replace_range(5..6, if &forged[5..6] == "a" { "b" } else { "a" });
    for (token, why) in [
        ("", "Paste a token."),
        ("two words", "That is no token"),
        ("nonsense", "This token is not accepted."),
        (&forged, "This token is not accepted."),
        (&other, "This token is good, but it is none for the console."),
    ] {
        browser.fill(field, token);
        browser.click(button);
        browser.find(&format!("//p[@class='field-error'][contains(., '{why}')]"));
        if !token.is_empty() && !token.contains(' ') {
            console.is_nowhere(token);
        }
        let focused = browser.script("return document.activeElement.getAttribute('aria-invalid')");
        assert_eq!(focused, json!("true"), "{token}: one can try again at once");
    }
    let refused = browser.complaints();
    let is_refusal = |line: &&String| line.contains("status of 401 ") || line.contains("status of 403 ");
    assert_eq!(refused.iter().filter(is_refusal).count(), refused.len(), "{refused:?}");

    console.sign_in();
    assert_eq!(browser.text("//div[@class='who']/p"), "Signed in as root");
    for section in ["Tokens", "Inspector", "Events", "Charts", "Plugins"] {
        console.section(section);
    }
    console.is_nowhere(&console.admin);
    console.is_content(None);
    browser.script("location.reload()");
    browser.find("//h1[.='Sign in to the console']");

    console.sign_in();
    browser.click("//button[.='Sign out']");
    browser.find("//h1[.='Sign in to the console']");
    console.is_nowhere(&console.admin);
    console.is_content(None);
}

#[test]
fn a_token_that_ends_ends_the_visit() {
    let Some(console) = Console::start("the console") else { return };
    console.sign_in();
    let run = console.scratch.run(["invalidate", "--yes", "--actor", "root", "--reason", "left"]);
    assert_eq!(run.code(), 0, "{run}");
    console.browser.find("//div[@role='alert'][contains(., 'The token is accepted no more.')]");
    console.browser.find("//h1[.='Sign in to the console']");
    console.is_content(Some(401));
}

#[test]
fn a_service_that_is_gone_is_said() {
    let Some(mut console) = Console::start("the console") else { return };
    console.sign_in();
    console.section("Events");
    console.browser.find("//span[contains(@class, 'pill')][contains(., 'Live')]");
    console.served.kill();
    console.browser.find("//div[@class='offline'][contains(., 'The service cannot be reached.')]");
    console.browser.find("//span[contains(@class, 'pill')][contains(., 'Lost, again in')]");
    console.section("Tokens");
    console.browser.find("//div[@role='alert'][contains(., 'It could not be loaded.')]//button[.='Try again']");
}

#[test]
fn keys_are_enough() {
    let Some(console) = Console::start("the console") else { return };
    let browser = &console.browser;
    // Until the focus is on what is called this. Each stop has a name, and shows that it has the focus.
    let tab_to = |name: &str| {
        for _ in 0..80 {
            browser.press(&[], &[Key::Tab]);
            let focused = browser.script(FOCUSED);
            let (called, is_shown) = (focused["name"].as_str().unwrap(), focused["is_shown"] == true);
            assert!(!called.is_empty() && is_shown, "{focused}");
            if called.starts_with(name) {
                return;
            }
        }
        panic!("no stop is called {name}");
    };
    browser.type_text(&console.admin);
    tab_to("Sign in");
    browser.press(&[], &[Key::Enter]);
    browser.find("//h1[.='Plugins']");
    tab_to("Skip to the content");
    browser.press(&[], &[Key::Enter]);
    assert_eq!(browser.script("return document.activeElement.id"), json!("content"));
    tab_to("Tokens");
    browser.press(&[], &[Key::Enter]);
    browser.find("//h1[.='Tokens']");
    assert_eq!(browser.script("return document.activeElement.textContent"), json!("Tokens"), "one begins at its head");
    tab_to("New token");
    browser.press(&[], &[Key::Enter]);
    browser.find("//dialog//h2[.='New token']");
    assert_eq!(browser.script(FOCUSED)["name"], json!("Actor"));
    browser.type_text("zoe");
    tab_to("All that its actor may");
    browser.press(&[], &[Key::Right]);
    tab_to("Action");
    browser.type_text("view-table");
    tab_to("Create the token");
    browser.press(&[], &[Key::Enter]);
    browser.find("//dialog//textarea[@readonly]");
    assert_eq!(browser.script(FOCUSED)["name"], json!("Copy"));
    browser.press(&[], &[Key::Escape]);
    browser.wait_for("return document.querySelector('dialog') === null");
    assert_eq!(browser.script(FOCUSED)["name"], json!("New token"), "the focus is where it was");
    console.is_content(None);
}

/// What has the focus: what it is called, and whether that can be seen.
const FOCUSED: &str = "const focused = document.activeElement; const style = getComputedStyle(focused); \
    const own = focused.getAttribute('aria-label') ?? (focused.labels?.[0] ?? focused).textContent; \
    const shows = [style, focused.nextElementSibling && getComputedStyle(focused.nextElementSibling), \
        focused.closest('label') && getComputedStyle(focused.closest('label'))]; \
    const isShown = shows.some((one) => one && one.outlineStyle !== 'none' && parseFloat(one.outlineWidth) > 0); \
    if (focused === document.body) return { name: 'the page', is_shown: true }; \
    return { name: own.trim() || focused.id, is_shown: isShown }";

#[test]
fn its_parts_are_served_once_and_locked_down() {
    let scratch = Scratch::new();
    let served = Served::start(&scratch);
    let ask = |path: &str, more: &str| served.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n"));
    let page = ask("/console", "");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let mut parts: Vec<String> = vec!["/console".to_owned()];
    for part in page.body.split('"').filter(|part| part.starts_with("console/")) {
        parts.push(format!("/{part}"));
    }
    assert!(parts.len() >= 6, "{parts:?}");
    // And what these load.
    let script = ask("/console/app.js", "").body;
    parts.extend(script.split('"').filter_map(|part| part.strip_prefix("./")).map(|part| format!("/console/{part}")));
    for part in parts {
        let reply = ask(&part, "");
        assert_eq!(reply.status, 200, "{part}");
        let policy = reply.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|told| told == rule), "{part}: {rule}: {policy}");
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), value, "{part}: {name}");
        }
        let tag = reply.header("etag");
        assert!(tag.len() == 34 && tag.starts_with('"'), "{tag}");
        let again = ask(&part, &format!("If-None-Match: \"x\", W/{tag}\r\n"));
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", tag));
        assert_eq!(ask(&part, "If-None-Match: \"x\"\r\n").status, 200);
    }
    let moved = ask("/console/", "");
    assert_eq!((moved.status, moved.header("location")), (308, "../console"));
    for nothing in
        ["/console/mod.rs", "/console/x.js", "/console/../app.js", "/console/a/b", "/console/%2e%2e%2fmod.rs"]
    {
        assert_eq!(ask(nothing, "").status, 404, "{nothing}");
    }
    let posted = served.exchange("POST /console HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(posted.status, 405);
}

#[test]
fn it_can_be_switched_off_while_it_runs() {
    let mut scratch = Scratch::new();
    let served = Served::start(&scratch);
    let status = |path: &str| served.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).status;
    assert_eq!((status("/console"), status("/console/app.js")), (200, 200));
    scratch.entry("[http]\nconsole = false");
    wait_until("it is off", || (status("/console") == 404).then_some(()));
    assert_eq!(status("/console/app.js"), 404);
}
