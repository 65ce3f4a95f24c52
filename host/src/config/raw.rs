//! The configuration as written: every key of the right type, with its place, and nothing judged yet.

use toml::de::DeTable;

use super::http::RawHttp;
use super::keys::{Keys, Written, wrong_type};
use super::oauth2::RawOAuth2;
use super::report::Report;
use super::{Findings, Origin, Place, parsing};

/// `plugins.toml` as written.
pub(super) struct RawConfig<'a> {
    pub(super) host: RawHost,
    pub(super) preflight: RawPreflight,
    pub(super) trust: RawTrust,
    pub(super) oauth2: Option<RawOAuth2>,
    pub(super) http: Option<RawHttp>,
    /// In the order of the file.
    pub(super) plugins: Vec<RawPlugin<'a>>,
}

/// The `[host]` table as written. `None` (and an empty `search`) is a key that is not there, or not of its type.
#[derive(Default)]
pub(super) struct RawHost {
    pub(super) drop_in: Option<Written<String>>,
    pub(super) search: Vec<Written<String>>,
    pub(super) max_token_bytes: Option<Written<i128>>,
    pub(super) event_queue: Option<Written<i128>>,
    pub(super) max_plugin_bytes: Option<Written<i128>>,
    pub(super) danger_insecure_permissions: Option<Written<bool>>,
    pub(super) superseded_warning_bytes: Option<Written<i128>>,
}

/// The `[preflight]` table as written.
#[derive(Default)]
pub(super) struct RawPreflight {
    pub(super) program: Option<Written<String>>,
    pub(super) deadline_ms: Option<Written<i128>>,
    pub(super) max_memory_bytes: Option<Written<i128>>,
    pub(super) max_cpu_seconds: Option<Written<i128>>,
    pub(super) cache: Option<Written<String>>,
    pub(super) danger_skip: Option<Written<bool>>,
}

/// The `[trust]` table as written.
#[derive(Default)]
pub(super) struct RawTrust {
    /// With the place of the list.
    pub(super) public_keys: Option<(Place, Vec<Written<String>>)>,
    pub(super) require_lock: Option<Written<bool>>,
}

/// One `[[plugin]]` entry as written.
pub(super) struct RawPlugin<'a> {
    pub(super) place: Place,
    /// `None` is reported already. Such an entry is still read to the end, so that all of its faults are found.
    pub(super) name: Option<Written<String>>,
    pub(super) file: Option<Written<String>>,
    pub(super) sha256: Option<Written<String>>,
    pub(super) tryfirst: Option<Written<bool>>,
    pub(super) trylast: Option<Written<bool>>,
    pub(super) wrapper: Option<Written<bool>>,
    pub(super) on_error: Option<Written<String>>,
    pub(super) deadline_ms: Option<Written<i128>>,
    pub(super) manage_deadline_ms: Option<Written<i128>>,
    pub(super) max_blocking_calls: Option<Written<i128>>,
    pub(super) breaker_failures: Option<Written<i128>>,
    pub(super) breaker_pause_ms: Option<Written<i128>>,
    /// The plugin's own settings, which mean nothing to the host.
    pub(super) config: Option<Written<&'a DeTable<'a>>>,
}

impl<'a> RawConfig<'a> {
    /// Reads a parsed document; what is wrong in it goes to `report`.
    pub(super) fn read(document: &'a DeTable<'a>, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(document);
        let host = keys.table("host", report).map(|table| RawHost::read(table.value, report)).unwrap_or_default();
        let preflight = keys.table("preflight", report);
        let preflight = preflight.map(|table| RawPreflight::read(table.value, report)).unwrap_or_default();
        let trust = keys.table("trust", report).map(|table| RawTrust::read(table.value, report)).unwrap_or_default();
        let oauth2 = keys.table("oauth2", report).map(|table| RawOAuth2::read(&table, report));
        let http = keys.table("http", report).map(|table| RawHttp::read(&table, report));
        let entries = keys.tables("plugin", "a list of tables, each written [[plugin]]", report);
        keys.finish("", report);
        let mut names = Names::default();
        let plugins = entries.into_iter().map(|entry| RawPlugin::read(entry, &mut names, report)).collect();
        report.plugin = None;
        Self { host, preflight, trust, oauth2, http, plugins }
    }
}

impl RawHost {
    fn read(table: &DeTable<'_>, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(table);
        let host = Self {
            drop_in: keys.string("drop_in", report),
            search: keys.strings("search", report),
            max_token_bytes: keys.integer("max_token_bytes", report),
            event_queue: keys.integer("event_queue", report),
            max_plugin_bytes: keys.integer("max_plugin_bytes", report),
            danger_insecure_permissions: keys.boolean("danger_insecure_permissions", report),
            superseded_warning_bytes: keys.integer("superseded_warning_bytes", report),
        };
        keys.finish("", report);
        host
    }
}

impl RawPreflight {
    fn read(table: &DeTable<'_>, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(table);
        let preflight = Self {
            program: keys.string("program", report),
            deadline_ms: keys.integer("deadline_ms", report),
            max_memory_bytes: keys.integer("max_memory_bytes", report),
            max_cpu_seconds: keys.integer("max_cpu_seconds", report),
            cache: keys.string("cache", report),
            danger_skip: keys.boolean("danger_skip", report),
        };
        keys.finish("", report);
        preflight
    }
}

impl RawTrust {
    fn read(table: &DeTable<'_>, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(table);
        let place = keys.value("public_keys", report).map(|(place, _)| place);
        let public_keys = place.map(|place| (place, keys.strings("public_keys", report)));
        let trust = Self { public_keys, require_lock: keys.boolean("require_lock", report) };
        keys.finish("", report);
        trust
    }
}

impl<'a> RawPlugin<'a> {
    fn read(entry: Written<&'a DeTable<'a>>, names: &mut Names, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(entry.value);
        let plugin = Self {
            place: entry.place,
            name: names.read(&mut keys, entry.place, report),
            file: keys.string("file", report),
            sha256: keys.string("sha256", report),
            tryfirst: keys.boolean("tryfirst", report),
            trylast: keys.boolean("trylast", report),
            wrapper: keys.boolean("wrapper", report),
            on_error: keys.string("on_error", report),
            deadline_ms: keys.integer("deadline_ms", report),
            manage_deadline_ms: keys.integer("manage_deadline_ms", report),
            max_blocking_calls: keys.integer("max_blocking_calls", report),
            breaker_failures: keys.integer("breaker_failures", report),
            breaker_pause_ms: keys.integer("breaker_pause_ms", report),
            config: keys.table("config", report),
        };
        keys.finish(" (the plugin's own settings go under [plugin.config])", report);
        plugin
    }
}

/// What the order law needs to know of one `[[plugin]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEntry {
    /// The entry's name.
    pub name: String,
    /// Called before all that are not `tryfirst`.
    pub tryfirst: bool,
    /// Called after all that are not `trylast`.
    pub trylast: bool,
    /// Called around all that are not wrappers.
    pub wrapper: bool,
}

/// The order keys of the `[[plugin]]` entries, in the order of the text, for `plugins --order-only`.
///
/// Reads `name`, `tryfirst`, `trylast` and `wrapper` alone; every other key and table is ignored, so that the order
/// law can be tried on a file that is no configuration for this machine. No secret is read and no path looked at.
///
/// # Errors
///
/// Text that is not TOML, a key of these four that has the wrong type, a name that is missing or used twice.
pub fn order_entries(text: &str, origin: Origin) -> Result<Vec<OrderEntry>, Findings> {
    parsing(text, &origin, |document, report| {
        let mut names = Names::default();
        let mut order = Vec::new();
        let plugins = "a list of tables, each written [[plugin]]";
        for entry in Keys::new(document).tables("plugin", plugins, report) {
            let mut keys = Keys::new(entry.value);
            let name = names.read(&mut keys, entry.place, report);
            let mut flag = |key| keys.boolean(key, report).is_some_and(|written| written.value);
            let (tryfirst, trylast, wrapper) = (flag("tryfirst"), flag("trylast"), flag("wrapper"));
            order.extend(name.map(|name| OrderEntry { name: name.value, tryfirst, trylast, wrapper }));
        }
        report.plugin = None;
        order
    })
    .map(|(order, _)| order)
}

/// The names used so far, each with the line of its entry: a name stands for one plugin in every message and call.
#[derive(Default)]
struct Names(std::collections::HashMap<String, usize>);

impl Names {
    /// The entry's `name`, which must be there and be new. What is found from here on is about that plugin.
    fn read(&mut self, keys: &mut Keys<'_>, entry: Place, report: &mut Report<'_>) -> Option<Written<String>> {
        report.plugin = None;
        let Some((place, value)) = keys.value("name", report) else {
            report.error(entry, "missing key `name`, expected a name that no other plugin has");
            return None;
        };
        let Some(name) = value.get_ref().as_str() else {
            wrong_type("name", "a string", value, report);
            return None;
        };
        report.plugin = Some(name.to_owned());
        if let Some(line) = self.0.get(name) {
            report.error(place, format!("the name is already used by the plugin at line {line}"));
        }
        self.0.entry(name.to_owned()).or_insert(entry.line);
        Some(Written { value: name.to_owned(), place: report.place(&value.span()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Result<Vec<OrderEntry>, String> {
        order_entries(text, Origin::Text).map_err(|findings| findings.to_string())
    }

    #[test]
    fn order_entries_read_four_keys_and_ignore_all_else() {
        let text = "nonsense = 1\n[host]\nsearch = 7\n[[plugin]]\nname = 'a'\ntryfirst = true\nfile = 3\n\
                    [plugin.config]\nsecret = { env = 'NOT_THERE' }\n[[plugin]]\nname = ''\nwrapper = true";
        let entry = |name: &str, tryfirst, wrapper| OrderEntry { name: name.into(), tryfirst, trylast: false, wrapper };
        assert_eq!(order(text), Ok(vec![entry("a", true, false), entry("", false, true)]));
        assert_eq!(order(""), Ok(Vec::new()));
    }

    #[test]
    fn order_entries_refuse_wrong_types_and_names() {
        let text = "[[plugin]]\ntrylast = 'x'\n\n[[plugin]]\nname = 'a'\n[[plugin]]\nname = 'a'\n[[plugin]]\nname = 1";
        assert_eq!(
            order(text).unwrap_err(),
            "<string>:1:1: missing key `name`, expected a name that no other plugin has\n\
             <string>:2:11: `trylast` must be true or false, found a string\n\
             <string>:7:1: plugin \"a\": the name is already used by the plugin at line 4\n\
             <string>:9:8: `name` must be a string, found a whole number"
        );
        assert_eq!(
            order("[plugin]\nname = 'a'").unwrap_err(),
            "<string>:1:1: `plugin` must be a list of tables, each written [[plugin]], found a table"
        );
    }

    #[test]
    fn text_that_is_not_toml_is_an_error_with_its_place() {
        assert_eq!(
            order("[[plugin]]\nname = hunter2").unwrap_err(),
            "<string>:2:8: string values must be quoted, expected literal string"
        );
    }
}
