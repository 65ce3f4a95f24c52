//! The order law: pluggy's own answers, and the places that plugins get from folder and configuration.

use serde_json::{Value, json};
use token_host::order::{Registration, call_order};
use token_host_tests::{Plugin, Python, Scratch, repository, run, skipped, with_manifest};

/// A case of `data/pluggy-orders.json`: registrations, and the order in which pluggy called them.
struct Case {
    registrations: Vec<Registration>,
    called: Vec<usize>,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(repository().join("tests/data/pluggy-orders.json")).unwrap();
    let data: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(data["pluggy"], "1.7.0");
    let case = |case: &Value| Case {
        registrations: case[0].as_str().unwrap().bytes().enumerate().map(registration).collect(),
        called: serde_json::from_value(case[1].clone()).unwrap(),
    };
    data["cases"].as_array().unwrap().iter().map(case).collect()
}

/// Names that neither rise nor fall, so that an order by name is no order of these cases.
fn registration((index, flags): (usize, u8)) -> Registration {
    let flag = |bit: u8| (flags - b'0') & bit != 0;
    Registration { name: format!("p{}", index * 7 % 13), tryfirst: flag(1), trylast: flag(2), wrapper: flag(4) }
}

#[test]
fn thousands_of_registrations_are_called_as_pluggy_calls_them() {
    let cases = cases();
    let sizes = cases.iter().map(|case| case.registrations.len());
    assert!(cases.len() >= 3000 && sizes.max() == Some(12), "the data is there");
    for Case { registrations, called } in cases {
        assert_eq!(call_order(&registrations), called, "{registrations:#?}");
    }
}

#[test]
fn the_command_line_tells_the_same_order() {
    let scratch = Scratch::new();
    for (index, Case { registrations, called }) in cases().into_iter().enumerate().filter(|(i, _)| i % 67 == 11) {
        let entry = |r: &Registration| {
            // What is not asked for here need not even make sense.
            format!(
                "[[plugin]]\nname = '{}'\ntryfirst = {}\ntrylast = {}\nwrapper = {}\nfile = 'not/there.so'\n\
                 [plugin.config]\nsecret = {{ env = 'NOT_SET' }}\n",
                r.name, r.tryfirst, r.trylast, r.wrapper
            )
        };
        let file = scratch.file("order.toml", registrations.iter().map(entry).collect::<String>());
        let listed = scratch.run(["plugins", "--json", "--order-only", file.to_str().unwrap()]);
        assert_eq!(listed.code(), 0, "case {index}: {listed}");
        let expected: Vec<Value> = called.iter().map(|&place| row(&registrations[place])).collect();
        let rows: Vec<Value> = listed.json().as_array().unwrap().iter().map(only_the_order).collect();
        assert_eq!(rows, expected, "case {index}");
    }
}

fn row(registration: &Registration) -> Value {
    let Registration { name, tryfirst, trylast, wrapper } = registration;
    json!({ "name": name, "tryfirst": tryfirst, "trylast": trylast, "wrapper": wrapper })
}

fn only_the_order(row: &Value) -> Value {
    json!({
        "name": row["name"], "tryfirst": row["tryfirst"], "trylast": row["trylast"], "wrapper": row["wrapper"],
    })
}

#[test]
fn the_order_of_a_file_that_makes_no_sense_is_an_error_with_its_place() {
    let scratch = Scratch::new();
    let file = scratch.file("order.toml", "[[plugin]]\nname = 'a'\n[[plugin]]\nname = 'a'\ntryfirst = 1\n");
    let listed = scratch.run(["plugins", "--order-only", file.to_str().unwrap()]);
    assert_eq!((listed.code(), listed.stdout.as_str()), (6, ""), "{listed}");
    assert!(listed.stderr.contains("order.toml:5:12: plugin \"a\": `tryfirst` must be true or false"), "{listed}");
    assert!(listed.stderr.contains("the name is already used by the plugin at line 1"), "{listed}");
    let missing = scratch.run(["plugins", "--order-only", "not-there.toml"]);
    assert_eq!(missing.code(), 2, "an argument that makes no sense: {missing}");
    assert!(missing.stderr.contains("not-there.toml"), "{missing}");
}

#[test]
fn the_data_is_what_real_pluggy_answers() {
    let Some(python) = skipped("the_data_is_what_real_pluggy_answers", Python::with_datasette()) else { return };
    let scratch = Scratch::new();
    let (script, new) = (repository().join("tests/python/pluggy_orders.py"), scratch.join("orders.json"));
    let made = run(python.command().arg(script).arg(&new), b"");
    assert_eq!(made.code(), 0, "{made}");
    let data = std::fs::read_to_string(repository().join("tests/data/pluggy-orders.json")).unwrap();
    assert!(std::fs::read_to_string(new).unwrap() == data, "run tests/python/pluggy_orders.py again");
}

/// `name (kind)` of each row, in call order.
fn listed(scratch: &Scratch) -> Vec<String> {
    let listed = scratch.run(["plugins", "--json"]);
    assert_eq!(listed.code(), 0, "{listed}");
    let rows = listed.json()["plugins"].take();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(|row| format!("{} ({})", text(row, "name"), text(row, "kind"))).collect()
}

fn handler(name: &str) -> String {
    format!("handlers = [{{ name = '{name}' }}]")
}

#[test]
fn the_last_registered_is_called_first() {
    let mut scratch = Scratch::new();
    for name in ["one", "two", "three"] {
        scratch.plugin(name, Plugin::Hostile, &handler(name));
    }
    assert_eq!(listed(&scratch), ["three (handler)", "two (handler)", "one (handler)"]);
}

#[test]
fn flags_in_the_configuration_move_a_plugin() {
    let mut scratch = Scratch::new();
    scratch.plugin_with("a", Plugin::Hostile, "tryfirst = true", &handler("a"));
    scratch.plugin_with("b", Plugin::Hostile, "trylast = true", &handler("b"));
    scratch.plugin("c", Plugin::Hostile, &handler("c"));
    scratch.plugin_with("d", Plugin::Hostile, "trylast = true", &handler("d"));
    scratch.plugin_with("e", Plugin::Hostile, "tryfirst = true", &handler("e"));
    scratch.plugin_with("w", Plugin::Hostile, "trylast = true", "wrappers = [{ name = 'w' }]");
    let expected = ["w (wrapper)", "e (handler)", "a (handler)", "c (handler)", "b (handler)", "d (handler)"];
    assert_eq!(listed(&scratch), expected);

    let rows = scratch.run(["plugins", "--json"]).json()["plugins"].take();
    let reason = |name: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        row["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("e").contains("tryfirst from config"), "{}", reason("e"));
    assert!(reason("d").contains("trylast from config"), "{}", reason("d"));
    assert!(reason("c").contains("registered 3rd"), "{}", reason("c"));
    assert!(rows.as_array().unwrap().iter().all(|row| row["wrapper"] == (row["kind"] == "wrapper")), "{rows}");
}

#[test]
fn the_configuration_overrides_what_the_plugin_asks_for() {
    for (asks, keys, order, reason) in [
        ("", "", ["c", "x", "a"], "registered 2nd"),
        ("tryfirst", "", ["x", "c", "a"], "registered 2nd; tryfirst declared by the plugin"),
        ("trylast", "", ["c", "a", "x"], "registered 2nd; trylast declared by the plugin"),
        (
            "tryfirst",
            "trylast = true",
            ["c", "a", "x"],
            "registered 2nd; tryfirst declared by the plugin, overridden in config; trylast from config",
        ),
        (
            "trylast",
            "tryfirst = true",
            ["x", "c", "a"],
            "registered 2nd; tryfirst from config; trylast declared by the plugin, overridden in config",
        ),
        (
            "tryfirst",
            "tryfirst = false",
            ["c", "x", "a"],
            "registered 2nd; tryfirst declared by the plugin, overridden in config",
        ),
        (
            "trylast",
            "trylast = false",
            ["c", "x", "a"],
            "registered 2nd; trylast declared by the plugin, overridden in config",
        ),
    ] {
        let mut scratch = Scratch::new();
        let mut library = std::fs::read(Plugin::Hostile.path()).unwrap();
        if !asks.is_empty() {
            library = with_manifest(&library, &format!("{asks}=false"), &format!("{asks}=true"));
        }
        let library = scratch.file("asks.so", library);
        scratch.plugin("a", Plugin::Hostile, &handler("a"));
        scratch.plugin_of(&library, "x", keys, &handler("x"));
        scratch.plugin("c", Plugin::Hostile, &handler("c"));
        assert_eq!(listed(&scratch), order.map(|name| format!("{name} (handler)")), "{asks}, but {keys}");
        let rows = scratch.run(["plugins", "--json"]).json()["plugins"].take();
        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == "x").unwrap();
        let flags = json!({ "name": "x", "tryfirst": order[0] == "x", "trylast": order[2] == "x", "wrapper": false });
        assert_eq!((only_the_order(row), &row["reason"]), (flags, &json!(reason)), "{asks}, but {keys}");
    }
}

#[test]
fn handlers_of_one_plugin_are_called_in_the_order_of_their_registration() {
    let mut scratch = Scratch::new();
    scratch.plugin("one", Plugin::Hostile, &handler("one"));
    scratch.plugin("two", Plugin::Hostile, "handlers = [{ name = 'first' }, { name = 'second' }]");
    assert_eq!(listed(&scratch), ["first (handler)", "second (handler)", "one (handler)"]);
}

/// Three files in the folder, all of them with an entry, so that their handlers have names.
fn folder(order_of_entries: [&str; 3]) -> Vec<String> {
    let mut scratch = Scratch::new();
    scratch.host("drop_in = 'plugins.d'");
    for name in ["a", "b", "c"] {
        scratch.drop_in(&format!("{name}.so"), Plugin::Hostile);
    }
    for name in order_of_entries {
        let keys = format!("[[plugin]]\nname = '{name}'\nfile = 'plugins.d/{name}.so'\n[plugin.config]\n");
        scratch.entry(&(keys + &handler(name)));
    }
    scratch.plugin("entry", Plugin::Hostile, &handler("entry"));
    listed(&scratch)
}

#[cfg(target_os = "linux")]
#[test]
fn files_of_the_folder_are_registered_by_name_before_the_entries() {
    let expected = ["entry (handler)", "c (handler)", "b (handler)", "a (handler)"];
    assert_eq!(folder(["a", "b", "c"]), expected);
}

/// "An entry that names a discovered file takes that file's place with it": the file is registered where the entry
/// stands, and not in the folder's order as well.
#[cfg(target_os = "linux")]
#[test]
fn an_entry_that_names_a_file_of_the_folder_takes_its_place_with_it() {
    assert_eq!(folder(["c", "a", "b"]), ["entry (handler)", "b (handler)", "a (handler)", "c (handler)"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_dropped_in_file_is_a_plugin_without_any_entry() {
    let mut scratch = Scratch::new();
    scratch.host("drop_in = 'plugins.d'").drop_in("anything.so", Plugin::Signed);
    let checked = scratch.run(["check"]);
    // Signed tokens need a secret: that it is missed shows that the file was loaded, under its own name.
    assert_eq!(checked.code(), 6, "{checked}");
    let said = format!("{checked}");
    assert!(said.contains("plugin \"signed\"") && said.contains("`secret`"), "{said}");
}
