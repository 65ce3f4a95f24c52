//! The console's plugins: the order, the plan before it is written, and figures of what goes on.

use std::fs;

use fantoccini::key::Key;
use serde_json::json;
use token_host_tests::{Scheme, Scratch, Width, wait_until};

use crate::console::{Console, made};

fn order(console: &Console) -> serde_json::Value {
    console.browser.script("return [...document.querySelectorAll('.call h2')].map((name) => name.textContent)")
}

fn entries(scratch: &Scratch) -> Vec<String> {
    let text = fs::read_to_string(scratch.config()).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("name = "))
        .map(|name| name.trim_matches('\'').to_owned())
        .collect()
}

#[test]
fn keys_move_a_plugin_and_the_plan_comes_before_the_file() {
    let Some(console) = Console::start("the console's plugins") else { return };
    let Console { scratch, browser, .. } = &console;
    console.sign_in();
    browser.find("//li[@data-plugin='jwt']");
    assert_eq!(order(&console), json!(["database", "signed", "jwt"]));
    for (plugin, reason) in [("database", "Registered 3rd"), ("jwt", "Registered 1st; trylast from config")] {
        browser.find(&format!("//li[@data-plugin='{plugin}']//p[.='{reason}']"));
        browser.find(&format!("//li[@data-plugin='{plugin}']//span[contains(@class, 'pill')][.='Serving']"));
    }
    let before = fs::read_to_string(scratch.config()).unwrap();

    browser.script("document.querySelector('[data-plugin=\"database\"]').focus()");
    browser.press(&[Key::Alt], &[Key::Down]);
    assert_eq!(order(&console), json!(["signed", "database", "jwt"]));
    browser.wait_for("return document.getElementById('said').textContent === 'database is now 2 of 3 in the draft'");
    assert_eq!(browser.script("return document.activeElement.dataset.plugin"), json!("database"));
    browser.press(&[Key::Alt], &[Key::Down]);
    assert_eq!(order(&console), json!(["signed", "database", "jwt"]), "the last one is so by its flag");
    browser.wait_for("return document.getElementById('said').textContent.includes('change its flags')");

    browser.click("//button[.='Review the plan']");
    for change in ["handler of \"database\" moved from 1st to 2nd", "handler of \"signed\" moved from 2nd to 1st"] {
        browser.find(&format!("//dialog//li[.='{change}']"));
    }
    browser.click("//dialog//button[.='Cancel']");
    assert_eq!(fs::read_to_string(scratch.config()).unwrap(), before, "nothing is written before it is confirmed");
    browser.click("//button[.='Review the plan']");
    browser.click("//dialog//button[.='Write plugins.toml']");
    browser.find("//div[@class='toast'][contains(., 'plugins.toml is written')]");
    let after = fs::read_to_string(scratch.config()).unwrap();
    assert_eq!(entries(scratch), ["jwt", "database", "signed"]);
    assert!(after.contains("trylast = true # the others come first"), "{after}");
    let (comment, entry) = (after.find("# Keeps tokens.").unwrap(), after.find("name = 'database'").unwrap());
    assert!(comment < entry && !after[comment..entry].contains("name = "), "it stays with its entry: {after}");
    browser.wait_for("return document.querySelector('.head .pill').textContent === 'Generation 2'");
    assert_eq!(order(&console), json!(["signed", "database", "jwt"]));
    console.is_content(None);
}

#[test]
fn buttons_flags_and_a_mouse_do_the_same() {
    let Some(console) = Console::start("the console's plugins") else { return };
    let Console { scratch, browser, .. } = &console;
    console.sign_in();
    browser.click("//button[@aria-label='Move signed up']");
    assert_eq!(order(&console), json!(["signed", "database", "jwt"]));
    browser.click("//button[.='Discard']");
    wait_until("it is as it was", || (order(&console) == json!(["database", "signed", "jwt"])).then_some(()));

    let drag = "const item = (name) => document.querySelector(`[data-plugin=${name}]`); \
                const [from, to] = [item('signed'), item('database')]; \
                const how = { bubbles: true, cancelable: true, dataTransfer: new DataTransfer() }; \
                const send = (at, kind) => at.dispatchEvent(new DragEvent(kind, how)); \
                send(from.querySelector('.grip'), 'dragstart'); send(to, 'dragover'); send(to, 'drop'); \
                send(from.querySelector('.grip'), 'dragend')";
    browser.script(drag);
    assert_eq!(order(&console), json!(["signed", "database", "jwt"]));
    browser.click("//li[@data-plugin='jwt']//label[.='Call last']");
    browser.click("//li[@data-plugin='jwt']//label[.='Call first']");
    assert_eq!(order(&console), json!(["jwt", "signed", "database"]));
    browser.click("//button[.='Review the plan']");
    browser.click("//dialog//button[.='Write plugins.toml']");
    browser.find("//div[@class='toast'][contains(., 'plugins.toml is written')]");
    let after = fs::read_to_string(scratch.config()).unwrap();
    assert!(after.contains("trylast = false # the others come first") && after.contains("tryfirst = true"), "{after}");
    let listed = scratch.run(["plugins"]).stdout;
    let places: Vec<_> = ["jwt ", "signed ", "database "].map(|name| listed.find(&format!("\n{name}"))).to_vec();
    assert!(places.is_sorted() && places[0].is_some(), "{listed}");
    console.is_content(None);
}

#[test]
fn a_finger_drags_as_well() {
    let Some(console) = Console::start("the console's plugins") else { return };
    let browser = &console.browser;
    console.sign_in();
    browser.look(Width::Narrow, Scheme::Light);
    browser.ask_chromium("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    let place = |selector: &str| {
        let selector = json!(selector);
        let place = browser.script(&format!(
            "const box = document.querySelector({selector}).getBoundingClientRect(); \
             return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }}"
        ));
        (place["x"].as_f64().unwrap(), place["y"].as_f64().unwrap())
    };
    let touch = |kind: &str, at: Option<(f64, f64)>| {
        let points: Vec<_> = at.iter().map(|(x, y)| json!({ "x": x, "y": y })).collect();
        browser.ask_chromium("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points }));
    };
    browser.script("document.querySelector('.calls').scrollIntoView()");
    let (from, to) = (place("[data-plugin='database'] .grip"), place("[data-plugin='signed'] .arrows"));
    touch("touchStart", Some(from));
    for step in 1..=8 {
        let share = f64::from(step) / 8.0;
        touch("touchMove", Some((from.0, from.1 + (to.1 - from.1) * share)));
    }
    touch("touchEnd", None);
    wait_until("it is below", || (order(&console) == json!(["signed", "database", "jwt"])).then_some(()));
    browser.find("//button[.='Review the plan']");
    assert_eq!(browser.script("return document.querySelectorAll('.dragged').length"), json!(0));
    console.is_content(None);
}

#[test]
fn a_file_that_somebody_else_changed_is_not_overwritten() {
    let Some(mut console) = Console::start("the console's plugins") else { return };
    console.sign_in();
    console.browser.click("//button[@aria-label='Move signed up']");
    console.browser.click("//button[.='Review the plan']");
    console.browser.find("//dialog//button[.='Write plugins.toml']");
    console.scratch.entry("# Somebody else was here.");
    console.browser.click("//dialog//button[.='Write plugins.toml']");
    console.browser.find("//dialog//div[@role='alert'][contains(., 'Nothing was written.')]");
    assert_eq!(entries(&console.scratch), ["jwt", "signed", "database"]);
    console.browser.click("//dialog//button[.='Show the file as it is now']");
    wait_until("it is as the file is", || (order(&console) == json!(["database", "signed", "jwt"])).then_some(()));
    console.is_content(Some(409));
}

#[test]
fn a_reload_that_is_refused_says_why() {
    let Some(mut console) = Console::start("the console's plugins") else { return };
    console.sign_in();
    console.browser.click("//button[.='Reload']");
    console.browser.find("//div[@class='toast'][contains(., 'nothing has changed')]");
    console.scratch.entry("[[plugin]]\nname = '<b>none</b>'");
    console.browser.click("//button[.='Reload']");
    console.browser.find("//dialog//div[@role='alert']//li[contains(., '<b>none</b>')]");
    console.browser.click("//dialog//button[@aria-label='Close']");
    console.is_content(Some(422));
}

#[test]
fn figures_and_charts_follow_what_goes_on() {
    let Some(console) = Console::start("the console's charts") else { return };
    let Console { scratch, browser, served, .. } = &console;
    console.sign_in();
    let token = made(scratch, &["ann", "--handler", "signed"]);
    for _ in 0..20 {
        let request = format!("GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        assert_eq!(served.exchange(request).status, 200);
    }
    browser.find("//li[@data-plugin='signed']//dl//div[dt='Verified']/dd[.='20']");
    browser.find("//li[@data-plugin='signed']//dl//div[dt='p99']/dd[contains(., 's')]");
    console.section("Charts");
    browser.find("//*[name()='svg'][contains(@aria-label, 'Verifications a second. Now: Accepted')]");
    browser.find("//*[name()='svg'][contains(@aria-label, 'Latencies of signed: p50')]");
    browser.click("//summary[.='The same as a table']");
    browser.find("//table//th[.='Not recognized']");
    console.is_content(None);
}
