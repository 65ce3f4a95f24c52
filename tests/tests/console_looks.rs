//! How the console looks: pictures of each section, kept as artifacts, with contrast and width measured on the way.

use std::path::PathBuf;

use serde_json::json;
use token_host_tests::{Browser, Plugin, Scheme, Scratch, Served, Width, encoded, skipped, target_folder};

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
fn pictures(browser: &Browser, name: &str) {
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
    pictures(browser, "sign-in");
    browser.fill("//input[contains(@class, 'secret')]", "nonsense");
    browser.click("//button[.='Sign in']");
    browser.find("//p[@class='field-error'][contains(., 'not accepted')]");
    pictures(browser, "sign-in-refused");

    console.sign_in();
    use_all();
    browser.find("//li[@data-plugin='signed']//dl//div[dt='Verified']/dd[.='2']");
    pictures(browser, "plugins");
    browser.click("//button[@aria-label='Move signed up']");
    pictures(browser, "plugins-draft");
    browser.click("//button[.='Review the plan']");
    browser.find("//dialog//button[.='Write plugins.toml']");
    pictures(browser, "plugins-plan");
    browser.click("//dialog//button[.='Cancel']");

    console.section("Tokens");
    browser.find("//tr[td='ann']");
    pictures(browser, "tokens");
    browser.click("//tr[td='ann']//button");
    browser.find("//dialog//button[.='Save the note']");
    pictures(browser, "token");
    browser.click("//dialog//button[.='Invalidate…']");
    pictures(browser, "token-invalidate");
    browser.click("(//dialog)[last()]//button[@aria-label='Close']");
    browser.click("//dialog//button[@aria-label='Close']");
    browser.click("//button[.='New token']");
    browser.click("//dialog//label[.='Only some actions']");
    pictures(browser, "token-new");
    browser.fill("//dialog//input[@placeholder='ann']", "zoe");
    browser.click("//dialog//label[.='All that its actor may']");
    browser.click("//dialog//button[.='Create the token']");
    browser.find("//dialog//textarea[@readonly]");
    pictures(browser, "token-made");
    browser.click("//dialog//button[.='Done']");

    console.section("Inspector");
    pictures(browser, "inspector-empty");
    for (token, verdict, name) in
        [(tokens[0].as_str(), "Accepted", "inspector-accepted"), ("dstok_x", "Rejected", "inspector-rejected")]
    {
        browser.fill("//main//input[contains(@class, 'secret')]", token);
        browser.click("//button[.='Inspect']");
        browser.find(&format!("//div[contains(@class, 'verdict')]/h2[starts-with(., '{verdict}')]"));
        pictures(browser, name);
    }
    console.section("Events");
    pictures(browser, "events-empty");
    browser.find("//span[contains(@class, 'pill')][.='Live']");
    use_all();
    browser.find("//li[@class='event'][contains(., 'cleopaws')]");
    pictures(browser, "events");
    console.section("Charts");
    use_all();
    browser.find("//*[name()='svg'][contains(@aria-label, 'Verifications a second')]");
    pictures(browser, "charts");
    console.is_content(Some(401));
}

#[test]
fn the_pages_for_users_look_as_well() {
    let Some(browser) = skipped("the looks of the pages for users", Browser::start()) else { return };
    let mut scratch = Scratch::new();
    scratch.entry("[oauth2]\nissuer = 'https://auth.example'\nuser_cookie = 'session'");
    scratch.entry("scopes = { read = 'See your notes', write = 'Change your notes, and share them with others' }");
    scratch.entry("[http]\nuser_header = 'X-User'\ntrusted_proxies = ['127.0.0.1']");
    scratch.signed("").plugin("oauth2", Plugin::OAuth2, "url = 'sqlite:oauth2.db'");
    let client = ["client", "add", "--public", "--id", "app", "--name", "Notes <for> all", "--redirect-uri", BACK];
    let run = scratch.run(client.iter().chain(&["--scope", "read", "--scope", "write"]));
    assert_eq!(run.code(), 0, "{run}");
    let user = made(&scratch, &["ann", "--handler", "signed"]);
    let served = Served::start(&scratch);

    let asked = [
        ("client_id", "app"),
        ("response_type", "code"),
        ("redirect_uri", BACK),
        ("scope", "read write"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    let page = format!("{}/oauth2/authorize?{}", served.url, encoded(&asked));
    browser.open(&page);
    browser.find("//h1[.='Not possible']");
    pictures(&browser, "consent-not-possible");
    browser.ask_chromium("Network.setCookie", json!({ "url": served.url, "name": "session", "value": user }));
    browser.open(&page);
    browser.find("//h1[.='Allow Notes <for> all?']");
    browser.find("//li[.='See your notes']");
    pictures(&browser, "consent");

    browser.ask_chromium("Network.enable", json!({}));
    browser.ask_chromium("Network.setExtraHTTPHeaders", json!({ "headers": { "X-User": "ann" } }));
    browser.open(&format!("{}/-/create-token", served.url));
    browser.find("//h1[.='Create an API token']");
    pictures(&browser, "create-token");
    browser.click("//button[.='Create token']");
    browser.find("//h2[.='Your API token']");
    pictures(&browser, "create-token-made");
}

const BACK: &str = "https://app.example/back";

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
        const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = color.map((part) => linear(part / 255));
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
        const [element, text] = [walker.currentNode.parentElement, walker.currentNode.textContent.trim()];
        if (text === '' || !element.checkVisibility({ visibilityProperty: true })) continue;
        if (element.closest('.hidden-text, :disabled, script, noscript, option, datalist')) continue;
        if (dialog && !dialog.contains(element)) continue;
        const style = getComputedStyle(element);
        const back = behind(element);
        const ink = over(parsed(element.closest('svg') ? style.fill : style.color), back);
        const [high, low] = [luminance(ink), luminance(back)].sort((one, other) => other - one);
        const ratio = (high + 0.05) / (low + 0.05);
        const size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        if (ratio < (isLarge ? 3 : 4.5)) poor.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return poor;";

/// What is wider than the screen, and does not scroll by itself.
fn too_wide(screen: u32) -> String {
    format!(
        "const [shown, screen] = [document.documentElement.scrollWidth, {screen}]; \
         if (shown <= screen && innerWidth <= screen) return []; \
         const isWide = (element) => element.getBoundingClientRect().right > screen + 1; \
         const wide = [...document.body.querySelectorAll('*')].filter(isWide); \
         return [shown, ...wide.slice(0, 8).map((one) => `${{one.tagName}}.${{one.className}}`)]"
    )
}
