//! A real browser, driven as a person drives it: Chromium without a screen, through its driver.

use std::{
    fs, io,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
    error::CmdError,
    key::Key,
    wd::WebDriverCompatibleCommand,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use url::Url;

use crate::{PATIENCE, Skip, debian_program, tended::Tended, wait_until};

/// A browser with one window. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    runtime: Runtime,
    client: Client,
    // Before the browser, which it speaks to.
    _driver: Tended,
    _chromium: Tended,
    // One at a time: each is as large as all other tests together.
    _alone: MutexGuard<'static, ()>,
}

/// How wide a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A phone's.
    Narrow,
    /// A large screen's.
    Wide,
}

/// Which colours a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Browser {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When Chromium is not there and cannot be installed.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start() -> Result<Self, Skip> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (chromium, driver) =
            (debian_program("chromium", "chromium")?, debian_program("chromium-driver", "chromedriver")?);
        let (mut chromium, browser_port) = started(&chromium);
        let (driver, driver_port) = driven(&driver);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = json!({ "debuggerAddress": format!("127.0.0.1:{browser_port}") });
        let mut capabilities = Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let connecting = async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{driver_port}")).await
        };
        let client = runtime.block_on(connecting).unwrap_or_else(|error| panic!("no session: {error}"));
        assert!(chromium.is_running());
        let browser = Self { runtime, client, _driver: driver, _chromium: chromium, _alone: alone };
        browser.look(Width::Wide, Scheme::Light);
        Ok(browser)
    }

    /// Goes to an address.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn open(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).unwrap();
    }

    /// The address that it shows.
    ///
    /// # Panics
    ///
    /// When it cannot tell.
    pub fn url(&self) -> String {
        self.runtime.block_on(self.client.current_url()).unwrap().to_string()
    }

    /// Waits for what this XPath finds, and for it to be seen.
    ///
    /// # Panics
    ///
    /// When it never is.
    pub fn find(&self, xpath: &str) -> Element {
        self.wait(xpath, || {
            let found = self.runtime.block_on(async {
                let found = self.client.find(Locator::XPath(xpath)).await?;
                Ok::<_, CmdError>(found.is_displayed().await?.then_some(found))
            });
            found.ok().flatten()
        })
    }

    /// Clicks on it.
    ///
    /// # Panics
    ///
    /// When it cannot be clicked on.
    pub fn click(&self, xpath: &str) {
        // What is drawn anew in between is looked for again.
        self.wait(&format!("a click on {xpath}"), || self.runtime.block_on(self.find(xpath).click()).ok());
    }

    /// Writes into a field what is to stand there.
    ///
    /// # Panics
    ///
    /// When it cannot be written into.
    pub fn fill(&self, xpath: &str, text: &str) {
        let field = self.find(xpath);
        self.runtime.block_on(field.clear()).unwrap();
        self.runtime.block_on(field.send_keys(text)).unwrap();
    }

    /// The text of it, as it is seen.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn text(&self, xpath: &str) -> String {
        self.wait(&format!("the text of {xpath}"), || self.runtime.block_on(self.find(xpath).text()).ok())
    }

    /// Presses these keys one after the other, while those are held.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn press(&self, held: &[Key], keys: &[Key]) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for key in held {
            actions = actions.then(KeyAction::Down { value: char::from(*key) });
        }
        for key in keys {
            let value = char::from(*key);
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        for key in held.iter().rev() {
            actions = actions.then(KeyAction::Up { value: char::from(*key) });
        }
        self.runtime.block_on(self.client.perform_actions(actions)).unwrap();
    }

    /// Types into what has the focus.
    ///
    /// # Panics
    ///
    /// When nothing has.
    pub fn type_text(&self, text: &str) {
        let focused = self.runtime.block_on(self.client.active_element()).unwrap();
        self.runtime.block_on(focused.send_keys(text)).unwrap();
    }

    /// What a function with this body gives.
    ///
    /// # Panics
    ///
    /// When it throws.
    pub fn script(&self, body: &str) -> Value {
        self.runtime.block_on(self.client.execute(body, Vec::new())).unwrap()
    }

    /// Waits until a function with this body gives `true`.
    ///
    /// # Panics
    ///
    /// When it never does.
    pub fn wait_for(&self, body: &str) {
        self.wait(body, || (self.script(body) == json!(true)).then_some(()));
    }

    /// Shows what it shows in this width and these colours.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn look(&self, width: Width, scheme: Scheme) {
        let (wide, high, scale) = if width == Width::Wide { (1440, 900, 1) } else { (390, 844, 2) };
        let is_phone = width == Width::Narrow;
        let metrics = json!({ "width": wide, "height": high, "deviceScaleFactor": scale, "mobile": is_phone });
        self.ask_chromium("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if scheme == Scheme::Dark { "dark" } else { "light" };
        // Without movements a picture is the same at each time.
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.ask_chromium("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Has Chromium do something (its DevTools protocol).
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn ask_chromium(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.issue(OwnCommand { path: "goog/cdp/execute", body })
    }

    /// Keeps a picture of what it shows.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn picture(&self, file: &Path) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // Two frames, so that what was asked for just now is there.
        let frames = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(1)));";
        self.runtime.block_on(self.client.execute_async(frames, Vec::new())).unwrap();
        let taken = self.ask_chromium("Page.captureScreenshot", json!({ "format": "png" }));
        fs::write(file, STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    /// What it complained of since it was last asked: errors of scripts, refused loads, broken policies.
    ///
    /// # Panics
    ///
    /// When it cannot tell.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.issue(OwnCommand { path: "se/log", body: json!({ "type": "browser" }) });
        let lines = log.as_array().unwrap().iter();
        lines.map(|line| format!("{} {}", line["level"].as_str().unwrap(), line["message"].as_str().unwrap())).collect()
    }

    /// As [`wait_until`](crate::wait_until), and tells what was shown in place of what was waited for.
    fn wait<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = condition() {
                return value;
            }
            if start.elapsed() > PATIENCE {
                let shown = self.script("return document.body.innerText");
                panic!("waited in vain: {what}; {:?}; it shows: {shown}", self.complaints());
            }
            // Only the interval between two looks.
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn issue(&self, command: OwnCommand) -> Value {
        self.runtime.block_on(self.client.issue_cmd(command)).unwrap()
    }
}

/// A command that is the driver's own.
#[derive(Debug)]
struct OwnCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for OwnCommand {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, url::ParseError> {
        base_url.join(&format!("session/{}/{}", session_id.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// Chromium, and the port at which it can be driven. It is started here and not by its driver, so that it ends with the
/// test.
fn started(program: &Path) -> (Tended, u16) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = Command::new(program);
    command.args([
        "--headless=new",
        // Root has no sandbox, and the pages are our own.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-sync",
        "--no-default-browser-check",
        "--no-first-run",
        "--remote-debugging-port=0",
        // Names that are no addresses of this machine are not looked up.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]);
    command.arg(format!("--user-data-dir={}", data.display())).arg("about:blank").env("HOME", folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let file = data.join("DevToolsActivePort");
    let mut chromium = Tended::start(&mut command, folder);
    let port = wait_until("Chromium says where it listens", || {
        assert!(chromium.is_running(), "Chromium has ended");
        fs::read_to_string(&file).ok()?.lines().next()?.parse().ok()
    });
    (chromium, port)
}

/// The driver, and its port.
fn driven(program: &Path) -> (Tended, u16) {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut driver = Tended::start(&mut command, tempfile::tempdir().unwrap());
        // Somebody else may have taken the port in between: then it ends at once.
        let is_there = wait_until("the driver listens", || match driver.is_running() {
            true => is_ready(port).ok()?.then_some(true),
            false => Some(false),
        });
        if is_there {
            return (driver, port);
        }
    }
}

fn is_ready(port: u16) -> io::Result<bool> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().new_agent();
    let response = agent.get(format!("http://127.0.0.1:{port}/status")).call().map_err(io::Error::other)?;
    Ok(response.status() == 200)
}
