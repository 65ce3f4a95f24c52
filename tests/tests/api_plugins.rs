//! Plugins by `/api/v1`: what is registered, reloads, and an order that is planned and then written into the file.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use token_host::{ErrorKind, Host};
use token_host_tests::{Api, JWT_SECRET, Plugin, SECRET, Scratch, set_mode};

use crate::api_access::problem;

/// A service whose configuration is written by hand, with comments.
fn by_hand() -> Api {
    let scratch = Scratch::new();
    scratch.library(Plugin::Signed);
    scratch.library(Plugin::Jwt);
    scratch.library(Plugin::Database);
    set_mode(&scratch.file("plugins.toml", text()), 0o640);
    Api::of(scratch)
}

fn text() -> String {
    format!(
        "# The file.\r\n\r\n[host]\r\nsearch = ['libraries']\r\n\r\n{}\r\n\r\n{}\r\n\r\n\r\n{}\r\n\r\n# The end.",
        signed(),
        jwt(),
        database()
    )
}

fn signed() -> String {
    format!(
        "# About signed.\r\n[[plugin]]\r\nname = 'signed' # the first\r\nfile = 'token_signed'\r\nconfig.secret = '{SECRET}'"
    )
}

fn jwt() -> String {
    format!(
        "# About jwt.\r\n[[plugin]]\r\nfile = 'token_jwt'\r\nname = 'jwt'\r\n[plugin.config]\r\nsecret = '{JWT_SECRET}'"
    )
}

fn database() -> String {
    "[[plugin]]\r\nname = 'database'\r\nfile = 'token_database'\r\nconfig = { url = 'sqlite:tokens.db' }".to_owned()
}

fn order(names: &[&str]) -> Value {
    json!({ "order": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() })
}

fn handlers(api: &Api) -> Vec<String> {
    let list = api.get("/api/v1/plugins");
    let rows = list["plugins"].as_array().unwrap().iter().filter(|row| row["kind"] == "handler");
    rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

fn sha256(api: &Api) -> Value {
    let plan = api.send("POST", "/api/v1/plugins/plan", &order(&["signed", "jwt", "database"]));
    plan.json()["text_sha256"].clone()
}

fn set(api: &Api, mut order: Value) -> token_host_tests::Reply {
    if order.get("text_sha256").is_none() {
        order["text_sha256"] = sha256(api);
    }
    api.send("PUT", "/api/v1/plugins/order", &order)
}

#[test]
fn what_is_registered_is_listed() {
    let api = by_hand();
    let list = api.get("/api/v1/plugins");
    assert_eq!((&list["generation"], &list["status"]["generation"]), (&json!(1), &json!(1)));
    assert_eq!(handlers(&api), ["database", "jwt", "signed"]);
    let signed = &list["plugins"][2];
    assert_eq!((&signed["reason"], &signed["state"]), (&json!("registered 1st"), &json!("serving")));
    assert!(list["warnings"][0].as_str().unwrap().contains("secret"), "{list}");
    let entry = |name: &str| json!({ "name": name, "tryfirst": null, "trylast": null });
    assert_eq!(list["entries"], json!([entry("signed"), entry("jwt"), entry("database")]));
}

#[test]
fn an_order_is_planned_and_nothing_is_written() {
    let api = by_hand();
    let mut wanted = order(&["database", "signed", "jwt"]);
    wanted["order"][1]["tryfirst"] = json!(true);
    let plan = api.send("POST", "/api/v1/plugins/plan", &wanted).json();
    let of = |outline: &Value| {
        let rows = outline["rows"].as_array().unwrap().iter().filter(|row| row["kind"] == "handler");
        rows.map(|row| row["plugin"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(&plan["before"]), ["database", "jwt", "signed"]);
    assert_eq!(of(&plan["after"]), ["signed", "jwt", "database"]);
    assert!(
        plan["changes"].as_array().unwrap().contains(&json!("handler of \"signed\" moved from 3rd to 1st")),
        "{plan}"
    );
    assert_eq!(fs::read_to_string(api.scratch.config()).unwrap(), text());
    assert_eq!(api.get("/api/v1/plugins")["generation"], 1);
}

#[test]
fn an_order_is_written_with_everything_that_stands_beside_it() {
    let api = by_hand();
    let mut wanted = order(&["database", "signed", "jwt"]);
    wanted["order"][0]["trylast"] = json!(false);
    wanted["order"][1]["tryfirst"] = json!(true);
    let reply = set(&api, wanted);
    assert_eq!(reply.status, 200, "{reply:?}");
    let told = reply.json();
    assert_eq!(told["generation"], 2);
    assert!(told["changes"].as_array().unwrap().contains(&json!("handler \"signed\" moved from 3rd to 1st")), "{told}");
    assert_eq!(handlers(&api), ["signed", "jwt", "database"]);
    let database = database().replace("'database'\r\n", "'database'\r\ntrylast = false\r\n");
    let signed = signed().replace("the first\r\n", "the first\r\ntryfirst = true\r\n");
    let expected =
        text().replacen(&self::signed(), "1", 1).replacen(&jwt(), "2", 1).replacen(&self::database(), "3", 1);
    let expected = expected.replacen('1', &database, 1).replacen("\r\n2\r\n", &format!("\r\n{signed}\r\n"), 1);
    let expected = expected.replacen("\r\n3\r\n", &format!("\r\n{}\r\n", jwt()), 1);
    assert_eq!(fs::read_to_string(api.scratch.config()).unwrap(), expected);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(api.scratch.config()).unwrap().permissions().mode() & 0o777, 0o640);
    }
    let left = fs::read_dir(api.scratch.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".plugins-"));
    assert_eq!(left.count(), 0, "nothing is left behind");

    let mut back = order(&["signed", "jwt", "database"]);
    back["order"][0]["tryfirst"] = json!("default");
    back["order"][2]["trylast"] = json!("default");
    assert_eq!(set(&api, back).status, 200);
    assert_eq!(fs::read_to_string(api.scratch.config()).unwrap(), text(), "and back again");
    let unchanged = set(&api, order(&["signed", "jwt", "database"]));
    assert_eq!((unchanged.status, &unchanged.json()["changes"]), (200, &json!([])));
}

#[test]
fn what_the_service_writes_itself_is_no_change_to_its_watch() {
    let api = by_hand();
    let (written, reply) = (Instant::now(), set(&api, order(&["jwt", "signed", "database"])));
    assert_eq!(reply.json()["generation"], 2, "{reply:?}");
    // Longer than the watch waits for a change to be over.
    let mut reloads = 0;
    while written.elapsed() < Duration::from_secs(1) {
        reloads += 1;
        assert_eq!(api.ask("POST", "/api/v1/plugins/reload").json()["generation"], 2 + reloads);
    }
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_what_it_leads_to_is_written() {
    let api = by_hand();
    let real = api.scratch.file("elsewhere/real.toml", text());
    fs::remove_file(api.scratch.config()).unwrap();
    std::os::unix::fs::symlink("elsewhere/real.toml", api.scratch.config()).unwrap();
    let reply = set(&api, order(&["jwt", "signed", "database"]));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(fs::symlink_metadata(api.scratch.config()).unwrap().is_symlink());
    assert!(fs::read_to_string(real).unwrap().find("About jwt").unwrap() < 80);
    assert_eq!(handlers(&api), ["database", "signed", "jwt"]);
}

#[test]
fn somebody_elses_change_is_not_overwritten() {
    let api = by_hand();
    let mut wanted = order(&["jwt", "signed", "database"]);
    wanted["text_sha256"] = sha256(&api);
    let changed = text().replace("# The file.", "# Changed.");
    api.scratch.file("plugins.toml", &changed);
    problem(&set(&api, wanted), 409, "conflict");
    assert_eq!(fs::read_to_string(api.scratch.config()).unwrap(), changed);
    assert_eq!(handlers(&api), ["database", "jwt", "signed"]);
}

/// An ordinary file, with blanks that nobody sees: a secret stands in it, and what cannot be edited is no reason to log it.
#[test]
fn blanks_at_the_ends_of_lines_are_no_hindrance() {
    let api = by_hand();
    // The last line of one entry is its name, that of another a flag.
    let named = format!("[[plugin]]\r\nfile = 'token_signed'\r\nconfig.secret = '{SECRET}'\r\nname = 'signed'");
    let flagged = format!("{}\r\ntrylast = false", database());
    let entries = format!("{named} # the first\r\n{flagged}\r\n\r\n{}\r\n# The end.", jwt());
    let blank = format!("[host]\r\nsearch = ['libraries']\r\n{entries}").replace("\r\n", " \t \r\n");
    api.scratch.file("plugins.toml", &blank);
    let names = ["database", "jwt", "signed"];
    for flag in [json!(true), json!(false), json!("default"), Value::Null] {
        let mut wanted = order(&names);
        for entry in wanted["order"].as_array_mut().unwrap() {
            entry["tryfirst"] = flag.clone();
            entry["trylast"] = flag.clone();
        }
        let plan = api.send("POST", "/api/v1/plugins/plan", &wanted);
        assert_eq!(plan.status, 200, "{flag}: {plan:?}");
    }
    let mut wanted = order(&names);
    wanted["order"][2]["tryfirst"] = json!(true);
    wanted["order"][0]["trylast"] = json!("default");
    wanted["text_sha256"] = api.send("POST", "/api/v1/plugins/plan", &wanted).json()["text_sha256"].clone();
    let reply = set(&api, wanted);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(handlers(&api), ["signed", "jwt", "database"]);
    let written = fs::read_to_string(api.scratch.config()).unwrap();
    assert_eq!(written.matches("# ").count(), blank.matches("# ").count(), "{written}");
    assert!(written.contains("# the first \t \r\ntryfirst = true") && !written.contains("trylast"), "{written}");
}

#[cfg(unix)]
#[test]
fn while_another_host_writes_the_same_file_it_is_left_alone() {
    let api = by_hand();
    let folder = fs::File::open(api.scratch.path()).unwrap();
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    problem(&set(&api, order(&["jwt", "signed", "database"])), 409, "conflict");
    assert_eq!(fs::read_to_string(api.scratch.config()).unwrap(), text());
    drop(folder);
    assert_eq!(set(&api, order(&["jwt", "signed", "database"])).status, 200);
    assert_eq!(handlers(&api), ["database", "signed", "jwt"]);
}

#[test]
fn an_order_names_each_entry_once() {
    let api = by_hand();
    for names in [&["signed", "jwt"][..], &["signed", "jwt", "jwt"], &["signed", "jwt", "database", "pony"], &[]] {
        problem(&api.send("POST", "/api/v1/plugins/plan", &order(names)), 400, "invalid-argument");
        problem(&set(&api, order(names)), 400, "invalid-argument");
    }
    for bad in [
        json!({}),
        json!({ "order": "signed" }),
        json!({ "order": [{ "name": "signed", "tryfirst": "yes" }] }),
        json!({ "order": [{ "name": "signed", "file": "x" }] }),
        json!({ "order": (0..1001).map(|at| json!({ "name": at.to_string() })).collect::<Vec<_>>() }),
    ] {
        problem(&api.send("POST", "/api/v1/plugins/plan", &bad), 422, "unprocessable");
    }
    problem(&api.send("PUT", "/api/v1/plugins/order", &order(&["signed", "jwt", "database"])), 422, "unprocessable");
    assert_eq!(fs::read_to_string(api.scratch.config()).unwrap(), text());
}

#[test]
fn a_refused_reload_changes_nothing() {
    let api = by_hand();
    assert_eq!(api.ask("POST", "/api/v1/plugins/reload").json(), json!({ "generation": 2, "changes": [] }));
    let broken = text().replace("file = 'token_jwt'", "file = 'token_pony'");
    api.scratch.file("plugins.toml", &broken);
    let reply = api.ask("POST", "/api/v1/plugins/reload");
    problem(&reply, 422, "refused-configuration");
    assert!(reply.json()["findings"][0].as_str().unwrap().contains("token_pony"), "{reply:?}");
    problem(
        &api.send("POST", "/api/v1/plugins/plan", &order(&["jwt", "signed", "database"])),
        422,
        "refused-configuration",
    );
    let list = api.get("/api/v1/plugins");
    assert_eq!(
        (&list["generation"], handlers(&api)),
        (&json!(2), ["database", "jwt", "signed"].map(str::to_owned).into())
    );
    assert!(list["status"]["failed_reload"]["findings"][0].as_str().unwrap().contains("token_pony"), "{list}");
    api.scratch.file("plugins.toml", "x = ");
    let list = api.get("/api/v1/plugins");
    assert_eq!((&list["entries"], list["plugins"].as_array().unwrap().is_empty()), (&Value::Null, false));
}

/// What shows only when the plugin is made: by then the order is written, and what was there before comes back.
#[test]
fn an_order_whose_reload_is_refused_is_taken_back() {
    let mut scratch = Scratch::new();
    scratch.signed("").plugin("other", Plugin::Hostile, "handlers = [{ name = 'other', claims = ['other_'] }]");
    let api = Api::of(scratch);
    let before = fs::read(api.scratch.config()).unwrap();
    let plan = api.send("POST", "/api/v1/plugins/plan", &order(&["other", "signed"]));
    // A library that is in order, and knows nothing of these settings.
    let other = api.scratch.file("other", fs::read(Plugin::Jwt.path()).unwrap());
    fs::rename(other, api.scratch.library(Plugin::Hostile)).unwrap();
    let mut wanted = order(&["other", "signed"]);
    wanted["text_sha256"] = plan.json()["text_sha256"].clone();
    let reply = set(&api, wanted);
    problem(&reply, 422, "refused-configuration");
    assert!(reply.json()["findings"][0].as_str().unwrap().contains("handlers"), "{reply:?}");
    assert_eq!(fs::read(api.scratch.config()).unwrap(), before);
    assert_eq!(handlers(&api), ["other", "signed"]);
}

#[test]
fn what_is_no_file_has_no_order_to_write() {
    let host = Host::from_str("").unwrap();
    for refused in [host.plan_order(&[]).map(|_| ()), host.set_order(&[], "").map(|_| ()), host.entries().map(|_| ())] {
        assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Conflict);
    }
}
