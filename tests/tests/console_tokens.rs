//! The console's tokens: made, found, noted, ended, inspected and watched; and texts that would be more than text.

use serde_json::json;
use token_host_tests::{Run, wait_until};

use crate::console::{Console, made};

/// What markup, links and characters that turn text around would do, if they were let.
const HOSTILE: [&str; 5] = [
    "<img src=x onerror=window.hit=1>",
    "<script>window.hit=1</script>",
    "javascript:window.hit=1",
    "\"><svg onload=window.hit=1>",
    "abc\u{202e}txt.exe",
];

fn verified(console: &Console, token: &str) -> Run {
    console.scratch.run(["verify", token])
}

fn use_token(console: &Console, token: &str) -> u16 {
    let request = format!("GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    console.served.exchange(request).status
}

#[test]
fn a_token_is_made_with_restrictions_shown_once_noted_and_ended() {
    let Some(console) = Console::start("the console's tokens") else { return };
    let browser = &console.browser;
    console.sign_in();
    console.section("Tokens");
    browser.click("//button[.='New token']");
    browser.click("//dialog//button[.='Create the token']");
    browser.find("//dialog//p[@class='field-error'][.='Say whom it stands for.']");
    browser.fill("//dialog//input[@placeholder='ann']", "zoe");
    browser.click("//dialog//select/option[.='database']");
    browser.click("//dialog//label[.='Only some actions']");
    browser.click("//dialog//button[.='Create the token']");
    browser.find("//dialog//li//p[@class='field-error'][.='Fill this in.']");
    browser.fill("//dialog//li//input[@list]", "view-table");
    browser.click("//dialog//li//option[.='a resource']");
    browser.fill("//dialog//li//div[label='Database']/input", "docs");
    browser.fill("//dialog//li//div[label='Table, view or query']/input", "pages");
    browser.fill("//dialog//div[label='Note']/input", "for the export");
    browser.click("//dialog//button[.='Create the token']");
    browser.find("//dialog//textarea[@readonly]");
    let token = browser.script("return document.querySelector('dialog textarea').value").as_str().unwrap().to_owned();
    browser.click("//dialog//button[.='Done']");
    browser.wait_for("return document.querySelector('dialog') === null");
    console.is_nowhere(&token);
    let run = verified(&console, &token);
    assert_eq!(run.code(), 0, "{run}");
    assert!(run.stdout.contains("\"zoe\"") && run.stdout.contains(r#""r":{"docs":{"pages":["vt"]}}"#), "{run}");

    browser.click("//tr[td='zoe']//button");
    browser.find("//dialog//dd[.='view-table']");
    browser.fill("//dialog//textarea", "for the weekly export");
    browser.click("//dialog//button[.='Save the note']");
    browser.find("//tr[td='zoe']/td[.='for the weekly export']");
    browser.fill("//dialog//textarea", "");
    browser.click("//dialog//button[.='Save the note']");
    browser.find("//tr[td='zoe']/td[@data-label='Note'][.='–']");
    browser.click("//dialog//button[.='Invalidate…']");
    browser.click("//dialog//button[.='Invalidate']");
    browser.find("//dialog//p[@class='field-error'][contains(., 'Say why')]");
    browser.fill("//dialog//input[@placeholder='left the team']", "no longer needed");
    browser.click("//dialog//button[.='Invalidate']");
    browser.find("//dialog//dd[.='no longer needed']");
    browser.find("//tr[td='zoe']//span[.='Invalidated']");
    assert_eq!(verified(&console, &token).code(), 1);
    console.is_content(None);
}

#[test]
fn a_policy_is_checked_before_it_is_sent() {
    let Some(console) = Console::start("the console's tokens") else { return };
    let browser = &console.browser;
    console.sign_in();
    console.section("Tokens");
    browser.click("//button[.='New token']");
    browser.fill("//dialog//input[@placeholder='ann']", "zoe");
    browser.click("//dialog//select/option[.='database']");
    browser.click("//dialog//label[.='What a policy says']");
    for (policy, fault) in [
        ("{", "This is no JSON:"),
        ("[]", "The policy must be a JSON object."),
        (r#"{"resources": {"*": {}}}"#, r#"The "resources.*" section must have "allow" and/or "block" rules."#),
    ] {
        browser.fill("//dialog//textarea", policy);
        browser.click("//dialog//button[.='Create the token']");
        browser.find(&format!("//dialog//p[@class='field-error'][contains(., '{fault}')]"));
    }
    browser.fill("//dialog//textarea", r#"{"resources": {"review": {"*": {"allow": ["GET"]}}}}"#);
    browser.click("//dialog//button[.='Create the token']");
    browser.find("//dialog//textarea[@readonly]");
    let token = browser.script("return document.querySelector('dialog textarea').value").as_str().unwrap().to_owned();
    assert!(verified(&console, &token).stdout.contains(r#""review""#));
    console.is_content(None);
}

#[test]
fn many_are_found_page_by_page_and_ended_after_they_were_counted() {
    let Some(console) = Console::start("the console's tokens") else { return };
    let browser = &console.browser;
    let one = made(&console.scratch, &["ann", "--handler", "database", "--note", "laptop"]);
    for number in 0..60 {
        made(&console.scratch, &["bob", "--handler", "database", "--note", &format!("export {number}")]);
    }
    console.sign_in();
    console.section("Tokens");
    browser.find("//p[.='The first 50 tokens']");
    browser.click("//button[.='Show more']");
    browser.find("//p[.='62 tokens']");
    browser.click("//div[label='Whose']//option[.='Of these actors']");
    browser.click("//button[.='Search']");
    browser.find("//p[@class='field-error'][contains(., 'Name at least one actor')]");
    browser.fill("//div[label='Actors']/input", "bob, nobody");
    browser.fill("//div[label='Note contains']/input", "export 1");
    browser.click("//button[.='Search']");
    browser.find("//p[.='11 tokens']");
    browser.click("//button[starts-with(., 'Invalidate all')]");
    browser.find("//dialog//b[.='11 tokens']");
    browser.fill("//dialog//div[starts-with(label, 'Reason')]/input", "cleaning up");
    browser.fill("//dialog//div[starts-with(label, 'Type 11')]/input", "12");
    browser.click("//dialog//button[.='Invalidate 11 tokens']");
    browser.find("//dialog//p[@class='field-error'][contains(., 'Type the number of tokens')]");
    browser.fill("//dialog//div[starts-with(label, 'Type 11')]/input", "11");
    browser.click("//dialog//button[.='Invalidate 11 tokens']");
    browser.find("//div[@class='toast'][contains(., '11 tokens invalidated.')]");
    wait_until("all of them are", || {
        let ended = browser.script("return document.querySelectorAll('tbody .is-tripped').length");
        (ended == json!(11)).then_some(())
    });
    assert_eq!(verified(&console, &one).code(), 0, "others are not touched");
    console.is_content(None);
}

#[test]
fn a_token_that_outlives_all_dates_is_shown_with_the_others() {
    let Some(console) = Console::start("the console's tokens") else { return };
    let browser = &console.browser;
    // More than JavaScript's dates hold, which end in the year 275760.
    made(&console.scratch, &["zoe", "--handler", "database", "--expires-after", "4294967295d"]);
    console.sign_in();
    console.section("Tokens");
    browser.find("//p[.='2 tokens']");
    browser.click("//tr[td='zoe']//button");
    browser.find("//dialog//div[dt='Expires']/dd/time[starts-with(., '3710')]");
    console.is_content(None);
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let Some(console) = Console::start("the console's tokens") else { return };
    let browser = &console.browser;
    console.sign_in();
    browser.script(&with_pages("page.tokens = null"));
    console.section("Tokens");
    browser.find("//div[@role='alert']//button[.='Try again']");
    console.is_content(None);
}

#[test]
fn an_id_that_addresses_take_away_reaches_no_other_address() {
    let Some(console) = Console::start("the console's tokens") else { return };
    let browser = &console.browser;
    console.sign_in();
    for id in [".", ".."] {
        browser.script(&with_pages(&format!("page.tokens[0].id = '{id}'")));
        console.section("Tokens");
        browser.click("//tr[td='root']//button");
        browser.click("//dialog//button[.='Save the note']");
        browser.find(&format!("//dialog//div[@role='alert'][contains(., 'about the id “{id}”')]"));
        let others = "return window.asked.filter(([method, path]) => method !== 'GET' || path === '/api/v1/tokens/' \
             || path === '/api/v1/')";
        assert_eq!(browser.script(others), json!([]));
        browser.click("//dialog//button[@aria-label='Close']");
        console.section("Inspector");
    }
    console.is_content(None);
}

/// A script after which pages of tokens are changed before they are read, and what is asked for is noted.
fn with_pages(change: &str) -> String {
    format!(
        "window.real ??= window.fetch; window.asked = []; \
         window.fetch = async (url, how) => {{ \
           const {{ pathname }} = new URL(url); \
           window.asked.push([how.method, pathname]); \
           const response = await window.real(url, how); \
           if (pathname !== '/api/v1/tokens') return response; \
           const page = await response.json(); \
           {change}; \
           return new Response(JSON.stringify(page)); \
         }}"
    )
}

#[test]
fn the_inspector_tells_what_each_handler_says_and_forgets_the_token() {
    let Some(console) = Console::start("the console's inspector") else { return };
    let browser = &console.browser;
    let signed = made(&console.scratch, &["ann", "--handler", "signed", "--database", "docs", "view-table"]);
    let forged = format!("{}x", &signed[..signed.len() - 1]);
    console.sign_in();
    console.section("Inspector");
    let inspect = |token: &str, verdict: &str| {
        browser.fill("//main//input[contains(@class, 'secret')]", token);
        browser.click("//button[.='Inspect']");
        browser.find(&format!("//div[contains(@class, 'verdict')]/h2[.='{verdict}']"));
        console.is_nowhere(token);
    };
    inspect(&signed, "Accepted by signed");
    browser.find("//li[contains(., 'database does not know it')]");
    browser.find("//li[contains(@class, 'said-accepted')]//span[contains(., 's')]");
    browser.find("//li[contains(., 'jwt was not asked')][contains(., '\"signed\" had decided')]");
    browser.find("//dl//div[dt='On docs']/dd[.='view-table']");
    inspect(&forged, "Rejected by signed");
    inspect("nonsense", "Not recognized");
    browser.click("//button[.='Inspect']");
    browser.find("//p[@class='field-error'][.='Paste a token.']");
    console.is_content(None);
}

#[test]
fn events_appear_as_they_happen() {
    let Some(console) = Console::start("the console's events") else { return };
    let browser = &console.browser;
    let token = made(&console.scratch, &["ann", "--handler", "signed"]);
    console.sign_in();
    console.section("Events");
    browser.find("//span[contains(@class, 'pill')][.='Live']");
    assert_eq!((use_token(&console, &token), use_token(&console, "dstok_x")), (200, 401));
    browser.find("//li[@class='event'][contains(., 'Used')][contains(., 'ann · signed')]");
    browser.find("//li[@class='event'][contains(., 'Rejected')]");
    // What the page itself does is not shown unless one wants it.
    browser.click("//label[.='Uses by this console']");
    browser.find("//li[@class='event'][contains(., '/api/v1/metrics')]");
    browser.click("//label[.='Uses by this console']");
    browser.wait_for("return !document.querySelector('.events').textContent.includes('/api/v1/')");

    browser.click("//label[.='Rejected']");
    browser.wait_for("return !document.querySelector('.events').textContent.includes('Rejected')");
    browser.click("//button[.='Pause']");
    let shown = "return document.querySelectorAll('.event').length";
    let before = browser.script(shown);
    assert_eq!(use_token(&console, &token), 200);
    browser.wait_for("return !document.querySelector('.head .pill').textContent.includes(' 0 ')");
    assert_eq!(browser.script(shown), before);
    browser.click("//button[.='Go on']");
    wait_until("what was held back", || (browser.script(shown) != before).then_some(()));
    console.is_content(None);
}

#[test]
fn texts_of_others_stay_texts() {
    let Some(console) = Console::start("the console against XSS") else { return };
    let browser = &console.browser;
    for text in HOSTILE {
        let token = made(&console.scratch, &[text, "--handler", "database", "--note", text]);
        let run = console.scratch.run(["invalidate", "--handler", "database", "--reason", text, "--token", &token]);
        assert_eq!(run.code(), 0, "{run}");
    }
    console.sign_in();
    console.section("Events");
    browser.find("//span[contains(@class, 'pill')][.='Live']");
    for text in HOSTILE {
        let token = made(&console.scratch, &[text, "--handler", "database"]);
        assert_eq!(use_token(&console, &token), 200);
        let shown = shown(text);
        wait_until(text, || contains(&console, ".events", &shown).then_some(()));
    }
    console.section("Tokens");
    for text in HOSTILE {
        let shown = shown(text);
        wait_until(text, || contains(&console, "tbody", &shown).then_some(()));
    }
    let rows = browser.script("return document.querySelectorAll('tbody tr .is-tripped').length");
    for row in 1..=rows.as_u64().unwrap() {
        browser.click(&format!("(//tr[.//span[.='Invalidated']])[{row}]//button"));
        let text = shown(HOSTILE[usize::try_from(row).unwrap() - 1]);
        wait_until("the reason", || contains(&console, "dialog dl", &text).then_some(()));
        browser.click("//dialog//button[@aria-label='Close']");
        browser.wait_for("return document.querySelector('dialog') === null");
    }
    let elements = "img, script:not([src^='console/']), a[href^=javascript], [onload], [onerror]";
    let elements = format!("return document.querySelectorAll({}).length", json!(elements));
    assert_eq!(browser.script(&elements), json!(0));
    assert_eq!(browser.script("return document.body.textContent.includes('\\u202e')"), json!(false));
    // What the page could not do if it wanted to.
    let refused = "try { document.body.innerHTML = '<b>'; return 'done' } catch (error) { return error.name }";
    assert_eq!(browser.script(refused), json!("TypeError"));
    let complaints = browser.complaints();
    let is_own = |line: &String| line.contains("TrustedHTML");
    assert!(complaints.iter().all(is_own), "{complaints:?}");
    console.is_content(None);
}

fn shown(text: &str) -> String {
    text.replace('\u{202e}', "\\u{202e}")
}

fn contains(console: &Console, selector: &str, text: &str) -> bool {
    let (selector, text) = (json!(selector), json!(text));
    let script =
        format!("return [...document.querySelectorAll({selector})].some((one) => one.textContent.includes({text}))");
    console.browser.script(&script) == json!(true)
}
