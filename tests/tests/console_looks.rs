//! How the console looks: pictures of each section, kept as artifacts, with contrast and width measured on the way.

use std::path::PathBuf;

use serde_json::json;
use token_host_tests::{Scheme, Width, target_folder};

use crate::console::{Console, made};

const LOOKS: [(Width, Scheme, &str); 4] = [
    (Width::Wide, Scheme::Light, "wide-light"),
    (Width::Wide, Scheme::Dark, "wide-dark"),
    (Width::Narrow, Scheme::Light, "narrow-light"),
    (Width::Narrow, Scheme::Dark, "narrow-dark"),
];

fn file(name: &str, look: &str) -> PathBuf {
    target_folder().join("console-screenshots").join(format!("{name}-{look}.png"))
}

/// Takes pictures of what is shown, and measures it.
#[track_caller]
fn pictures(console: &Console, name: &str) {
    let browser = &console.browser;
    for (width, scheme, look) in LOOKS {
        browser.look(width, scheme);
        browser.picture(&file(name, look));
        assert_eq!(browser.script(POOR_CONTRAST), json!([]), "{name}-{look}: contrast");
        let wide = if width == Width::Wide { 1440 } else { 390 };
        assert_eq!(browser.script(&too_wide(wide)), json!([]), "{name}-{look}: wider than the screen");
    }
    let small = json!({ "width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": true });
    browser.ask_chromium("Emulation.setDeviceMetricsOverride", small);
    assert_eq!(browser.script(&too_wide(360)), json!([]), "{name}: wider than 360 pixels");
    browser.look(Width::Wide, Scheme::Light);
}

#[test]
fn each_section_looks_well_light_and_dark_narrow_and_wide() {
    let Some(console) = Console::start("the console's looks") else { return };
    let Console { scratch, browser, served, .. } = &console;
    let mut tokens = Vec::new();
    for (actor, note) in [
        ("ann", "laptop"),
        ("bob", "the nightly export of the warehouse, which takes its time and has a long name for that reason"),
        ("cleopaws", "for the vet"),
        ("a-very-long-identifier-of-a-service-account@project.example", ""),
        ("<b>bold</b>", "ab\u{202e}cd"),
    ] {
        tokens.push(made(scratch, &[actor, "--handler", "database", "--note", note, "--expires-after", "8640000"]));
    }
    tokens.push(made(scratch, &["dan", "--handler", "signed"]));
    let use_all = || {
        for token in tokens.iter().map(String::as_str).chain(["dstok_x", "nonsense"]) {
            served.exchange(format!("GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"));
        }
    };
    browser.find("//h1[.='Sign in to the console']");
    pictures(&console, "sign-in");
    browser.fill("//input[@type='password']", "nonsense");
    browser.click("//button[.='Sign in']");
    browser.find("//p[@class='field-error'][contains(., 'not accepted')]");
    pictures(&console, "sign-in-refused");

    console.sign_in();
    use_all();
    browser.find("//li[@data-plugin='signed']//dl//div[dt='Verified']/dd[.='2']");
    pictures(&console, "plugins");
    browser.click("//button[@aria-label='Move signed up']");
    pictures(&console, "plugins-draft");
    browser.click("//button[.='Review the plan']");
    browser.find("//dialog//button[.='Write plugins.toml']");
    pictures(&console, "plugins-plan");
    browser.click("//dialog//button[.='Cancel']");

    console.section("Tokens");
    browser.find("//tr[td='ann']");
    pictures(&console, "tokens");
    browser.click("//tr[td='ann']//button");
    browser.find("//dialog//button[.='Save the note']");
    pictures(&console, "token");
    browser.click("//dialog//button[.='Invalidate…']");
    pictures(&console, "token-invalidate");
    browser.click("(//dialog)[last()]//button[@aria-label='Close']");
    browser.click("//dialog//button[@aria-label='Close']");
    browser.click("//button[.='New token']");
    browser.click("//dialog//label[.='Only some actions']");
    pictures(&console, "token-new");
    browser.fill("//dialog//input[@placeholder='ann']", "zoe");
    browser.click("//dialog//label[.='All that its actor may']");
    browser.click("//dialog//button[.='Create the token']");
    browser.find("//dialog//textarea[@readonly]");
    pictures(&console, "token-made");
    browser.click("//dialog//button[.='Done']");

    console.section("Inspector");
    pictures(&console, "inspector-empty");
    for (token, verdict, name) in
        [(&tokens[0], "Accepted", "inspector-accepted"), (&"dstok_x".to_owned(), "Rejected", "inspector-rejected")]
    {
        browser.fill("//main//input[@type='password']", token);
        browser.click("//button[.='Inspect']");
        browser.find(&format!("//div[contains(@class, 'verdict')]/h2[starts-with(., '{verdict}')]"));
        pictures(&console, name);
    }
    console.section("Events");
    pictures(&console, "events-empty");
    browser.find("//span[contains(@class, 'pill')][.='Live']");
    use_all();
    browser.find("//li[@class='event'][contains(., 'cleopaws')]");
    pictures(&console, "events");
    console.section("Charts");
    use_all();
    browser.find("//*[name()='svg'][contains(@aria-label, 'Verifications a second')]");
    pictures(&console, "charts");
    console.is_content(Some(401));
}

/// Texts whose contrast is less than WCAG's AA asks for: 4.5, and 3 for large ones.
const POOR_CONTRAST: &str = r"
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const parsed = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const luminance = (color) => {
        const [r, g, b] = color.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) layers.push(parsed(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
    };
    const poor = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const dialog = [...document.querySelectorAll('dialog[open]')].at(-1);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (walker.currentNode.textContent.trim() === '' || !element.checkVisibility({ visibilityProperty: true })) continue;
        if (element.closest('.hidden-text, :disabled, script, noscript, option, datalist') || (dialog && !dialog.contains(element))) continue;
        const style = getComputedStyle(element);
        const back = behind(element);
        const ink = over(parsed(element.closest('svg') ? style.fill : style.color), back);
        const [high, low] = [luminance(ink), luminance(back)].sort((one, other) => other - one);
        const ratio = (high + 0.05) / (low + 0.05);
        const size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        if (ratio < (isLarge ? 3 : 4.5)) poor.push(`${walker.currentNode.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return poor;";

/// What is wider than the screen, and does not scroll by itself.
fn too_wide(screen: u32) -> String {
    format!(
        "const [shown, screen] = [document.documentElement.scrollWidth, {screen}]; \
         if (shown <= screen && innerWidth <= screen) return []; \
         const wide = [...document.body.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > screen + 1); \
         return [shown, ...wide.slice(0, 8).map((one) => `${{one.tagName}}.${{one.className}}`)]"
    )
}
