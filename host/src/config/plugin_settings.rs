//! A plugin's own settings, as they are handed to it: `[plugin.config]` as JSON, with its secrets put in.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::Place;
use super::keys::Written;
use super::report::Report;
use super::secret_reference::{Reference, Secrets};

/// The settings of one plugin. They hold secrets: wiped when dropped, and `Debug` prints nothing of them.
#[derive(Clone)]
pub struct PluginSettings {
    json: Zeroizing<String>,
    resolved: Vec<Zeroizing<String>>,
    /// By path as [`normalized`] writes it; the whole table's is the empty path.
    places: HashMap<String, Place>,
}

impl PluginSettings {
    /// The settings of a plugin that is given none: `{}`.
    pub fn empty() -> Self {
        Self { json: Zeroizing::new("{}".to_owned()), resolved: Vec::new(), places: HashMap::new() }
    }

    /// Settings that an embedder hands over as JSON. None of its secrets counts as written into a configuration.
    pub fn from_json(settings: &serde_json::Value) -> Self {
        let mut resolved = Vec::new();
        texts(settings, &mut resolved);
        Self { json: Zeroizing::new(settings.to_string()), resolved, places: HashMap::new() }
    }

    /// Settings that another process read and sent here.
    pub(crate) fn received(json: &str, resolved: &[String]) -> Self {
        let resolved = resolved.iter().map(|value| Zeroizing::new(value.clone())).collect();
        Self { json: Zeroizing::new(json.to_owned()), resolved, places: HashMap::new() }
    }

    /// The settings as one JSON object.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Each value that came from an environment variable or a file. A secret among the settings that is not among
    /// these was written into the configuration itself, which deserves a warning.
    pub fn resolved(&self) -> &[Zeroizing<String>] {
        &self.resolved
    }

    /// A text in which none of the settings' strings stands any more, each of which may be a secret: not as it is, not
    /// one of its lines, not as Rust's `{:?}` writes it.
    pub(crate) fn without_values(&self, text: &str) -> String {
        let mut values = Vec::new();
        if let Ok(settings) = serde_json::from_str(&self.json) {
            texts(&settings, &mut values);
        }
        values.extend(self.resolved.iter().cloned());
        let pieces = values.iter().flat_map(|value| std::iter::once(value.as_str()).chain(value.lines()));
        let mut pieces: Vec<&str> = pieces.filter(|piece| piece.len() >= SHORTEST_SECRET_BYTES).collect();
        // Longest first: a shorter one may be a part of a longer one.
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
        let mut text = text.to_owned();
        for piece in pieces {
            text = text.replace(piece, "[value]");
            let escaped = piece.escape_debug().to_string();
            if escaped != piece {
                text = text.replace(&escaped, "[value]");
            }
        }
        text
    }

    /// The SHA-256 of the JSON text: tells whether a reload changed the settings, secrets included.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.json.as_bytes()).into()
    }

    /// The place of a setting by its path: `secret`, `limits.max`, `secrets[1]` or `secrets.1`.
    ///
    /// A path that is not written there gives the nearest that encloses it, at last the table or the entry. `None`
    /// only for [`PluginSettings::empty`], which is written nowhere.
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let path = normalized(path);
        let mut enclosing = path.as_str();
        loop {
            if let Some(place) = self.places.get(enclosing) {
                return Some(*place);
            }
            enclosing = match enclosing.rsplit_once('.') {
                Some((outer, _)) => outer,
                None if enclosing.is_empty() => return None,
                None => "",
            };
        }
    }

    /// Reads `[plugin.config]`; without one the settings are empty, and `entry` is their place.
    pub(super) fn read(
        config: Option<Written<&DeTable<'_>>>,
        entry: Place,
        secrets: &mut Secrets<'_>,
        report: &mut Report<'_>,
    ) -> Self {
        let place = config.as_ref().map_or(entry, |config| config.place);
        let places = HashMap::from([(String::new(), place)]);
        let mut writer = Writer { json: WipedText::default(), resolved: Vec::new(), places, secrets, report };
        match config {
            // The table itself is never a reference: a plugin may well have the one setting `file`.
            Some(config) => writer.table(config.value, "", 1),
            None => writer.json.push("{}"),
        }
        Self { json: writer.json.0, resolved: writer.resolved, places: writer.places }
    }
}

/// Every string in a value.
fn texts(value: &serde_json::Value, found: &mut Vec<Zeroizing<String>>) {
    match value {
        serde_json::Value::String(text) => found.push(Zeroizing::new(text.clone())),
        serde_json::Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        serde_json::Value::Object(map) => map.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// Shorter values are no secrets, and are found in many words.
const SHORTEST_SECRET_BYTES: usize = 4;

impl fmt::Debug for PluginSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PluginSettings").finish_non_exhaustive()
    }
}

/// Turns TOML into JSON. What JSON cannot say, and references that cannot be read, go to the report; the text is then
/// not used, so what stands in their stead does not matter.
struct Writer<'w, 's, 't> {
    json: WipedText,
    resolved: Vec<Zeroizing<String>>,
    places: HashMap<String, Place>,
    secrets: &'w mut Secrets<'s>,
    report: &'w mut Report<'t>,
}

impl Writer<'_, '_, '_> {
    fn table(&mut self, table: &DeTable<'_>, path: &str, depth: usize) {
        self.json.push("{");
        for (index, (name, value)) in table.iter().enumerate() {
            if index > 0 {
                self.json.push(",");
            }
            self.json.push_quoted(name.get_ref());
            self.json.push(":");
            let dot = if path.is_empty() { "" } else { "." };
            let place = self.report.place(&name.span());
            self.value(value.get_ref(), &format!("{path}{dot}{}", name.get_ref()), place, depth);
        }
        self.json.push("}");
    }

    fn value(&mut self, value: &DeValue<'_>, path: &str, place: Place, depth: usize) {
        self.places.insert(normalized(path), place);
        match value {
            DeValue::String(text) => self.json.push_quoted(text),
            DeValue::Boolean(value) => self.json.push(if *value { "true" } else { "false" }),
            DeValue::Datetime(value) => self.json.push_quoted(&value.to_string()),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => self.json.push(&integer.to_string()),
                Err(_) => self.refuse(path, place, "expected a whole number of at most 64 bits, signed"),
            },
            DeValue::Float(float) => match float.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
                Some(number) => self.json.push(&number.to_string()),
                None => self.refuse(path, place, "expected a finite number of at most 64 bits, not nan or inf"),
            },
            DeValue::Array(_) | DeValue::Table(_) if depth >= MAX_DEPTH => {
                self.refuse(path, place, &format!("expected at most {MAX_DEPTH} tables and lists inside each other"));
            }
            DeValue::Array(items) => {
                self.json.push("[");
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.json.push(",");
                    }
                    let place = self.report.place(&item.span());
                    self.value(item.get_ref(), &format!("{path}[{index}]"), place, depth + 1);
                }
                self.json.push("]");
            }
            DeValue::Table(table) => match self.secrets.read(path, place, table, self.report) {
                Reference::None => self.table(table, path, depth + 1),
                Reference::Refused => self.json.push("null"),
                Reference::Secret(secret) => {
                    self.json.push_quoted(&secret);
                    self.resolved.push(secret);
                }
            },
        }
    }

    fn refuse(&mut self, path: &str, place: Place, message: &str) {
        self.report.error(place, format!("`{}`: {message}", path.escape_debug()));
        self.json.push("null");
    }
}

/// A growing text that leaves no copy of itself behind: what it grew out of is wiped.
#[derive(Default)]
struct WipedText(Zeroizing<String>);

impl WipedText {
    fn push(&mut self, text: &str) {
        let needed = self.0.len() + text.len();
        if needed > self.0.capacity() {
            let mut grown = Zeroizing::new(String::with_capacity(2 * needed));
            grown.push_str(&self.0);
            self.0 = grown;
        }
        self.0.push_str(text);
    }

    /// `text` as a JSON string.
    fn push_quoted(&mut self, text: &str) {
        self.push("\"");
        let mut rest = text;
        while let Some(at) = rest.find(|letter: char| letter < ' ' || letter == '"' || letter == '\\') {
            self.push(&rest[..at]);
            self.push(&format!("\\u{:04x}", rest.as_bytes()[at]));
            rest = &rest[at + 1..]; // all of these letters are one byte long
        }
        self.push(rest);
        self.push("\"");
    }
}

/// `secrets[1].name` and `secrets.1.name` are one path. So is `.`, which serde's path trackers call the whole.
fn normalized(path: &str) -> String {
    path.replace('[', ".").replace(']', "").trim_start_matches('.').to_owned()
}

/// Tables and lists inside each other, the settings' own table included. No settings need it, and what parses them
/// in the plugin recurses.
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{MakeSecrets, Origin, parsing};
    use super::*;

    fn settings(text: &str) -> Result<PluginSettings, String> {
        parsing(text, &Origin::Text, |document, report| {
            let config = Written { value: document, place: Place { line: 9, column: 9 } };
            let mut secrets = Secrets::new(Path::new(""), MakeSecrets::Ephemeral);
            PluginSettings::read(Some(config), Place { line: 8, column: 8 }, &mut secrets, report)
        })
        .map(|(settings, _)| settings)
        .map_err(|findings| findings.to_string())
    }

    #[test]
    fn settings_become_json_of_the_same_meaning() {
        let text = "number = 0x10\nflag = true\nfloat = 1_0.5e3\nday = 1979-05-27T07:32:00Z\nlist = [1, []]\n\
                    text = \"quote \\\" back \\\\ line \\n ü \\u0001\"\n[limits.inner]\nmax = 3\n\
                    \"odd \\\" key\" = {}\n";
        let settings = settings(text).unwrap();
        let json: serde_json::Value = serde_json::from_str(settings.json()).unwrap();
        let expected = serde_json::json!({
            "number": 16, "flag": true, "float": 10500.0, "day": "1979-05-27T07:32:00Z", "list": [1, []],
            "text": "quote \" back \\ line \n ü \u{1}", "limits": {"inner": {"max": 3, "odd \" key": {}}},
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn references_are_put_in_at_any_depth_and_remembered() {
        let path = std::env::var("PATH").unwrap();
        let found = settings("keys = ['inline', { env = 'PATH' }]\n[a.b]\nkey.env = 'PATH'").unwrap();
        let json: serde_json::Value = serde_json::from_str(found.json()).unwrap();
        assert_eq!(json, serde_json::json!({"keys": ["inline", path], "a": {"b": {"key": path}}}));
        assert_eq!(found.resolved().len(), 2);
        assert_eq!(found.resolved()[0].as_str(), path);
        assert_eq!(format!("{found:?}"), "PluginSettings { .. }");
        assert_ne!(found.digest(), PluginSettings::empty().digest());
        assert_eq!(settings("env = 'PATH'").unwrap().json(), r#"{"env":"PATH"}"#, "the whole is never a reference");
    }

    #[test]
    fn what_cannot_be_read_names_key_and_place() {
        let text = "a = nan\nb = [1.0, -inf]\nc = 9223372036854775808\n[d]\ne = [{ env = 'TOKEN_HOST_NOT_SET' }]";
        assert_eq!(
            settings(text).unwrap_err(),
            "<string>:1:1: `a`: expected a finite number of at most 64 bits, not nan or inf\n\
             <string>:2:11: `b[1]`: expected a finite number of at most 64 bits, not nan or inf\n\
             <string>:3:1: `c`: expected a whole number of at most 64 bits, signed\n\
             <string>:5:6: `d.e[0]`: the environment variable `TOKEN_HOST_NOT_SET` is not set"
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("a = {}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(settings(&nested(63)).is_ok());
        let refused = settings(&nested(64)).unwrap_err();
        assert!(refused.ends_with("expected at most 64 tables and lists inside each other"), "{refused}");
    }

    #[test]
    fn a_path_leads_to_its_place_or_the_nearest_around_it() {
        let found = settings("secrets = ['a', 'b']\n[limits]\nmax = 1\n\n  'a.b' = 1").unwrap();
        let place = |path: &str| found.place_of(path).unwrap().to_string();
        assert_eq!([place("secrets"), place("secrets[1]"), place("secrets.1")], ["1:1", "1:17", "1:17"]);
        assert_eq!([place("limits.max"), place("limits.min"), place("limits.a.b")], ["3:1", "2:2", "5:3"]);
        assert_eq!([place("secrets[1].x.y"), place("nowhere"), place("."), place("")], ["1:17", "9:9", "9:9", "9:9"]);
        assert_eq!(PluginSettings::empty().place_of("secret"), None);
    }
}
