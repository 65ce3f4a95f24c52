//! [`Options`]: what an operator says of another system.

use serde_json::{Map, Value};
use token_plugin_api::{PluginError, Result};

use super::rows::Identifier;

/// The options of an import. Their values are never printed: they may be secrets.
pub(super) struct Options<'a>(&'a Map<String, Value>);

impl<'a> Options<'a> {
    pub(super) fn new(options: &'a Map<String, Value>) -> Self {
        Self(options)
    }

    /// Refuses all others.
    pub(super) fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(PluginError::invalid_argument(format!(
                "there is no option `{name}` here, expected one of {}",
                known.join(", ")
            ))),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(Some).ok_or_else(|| PluginError::invalid_argument(format!("the option `{name}` must be a text")))
    }

    pub(super) fn identifier(&self, name: &str) -> Result<Option<Identifier>> {
        self.text(name)?.map(Identifier::new).transpose()
    }

    /// One of some values, by its name; the first is the default.
    pub(super) fn choice<T: Copy, const N: usize>(&self, name: &str, choices: [(&str, T); N]) -> Result<T> {
        let text = self.text(name)?;
        let chosen = choices.iter().find(|(choice, _)| text.is_none_or(|text| text == *choice));
        chosen.map(|(_, value)| *value).ok_or_else(|| {
            let names = choices.map(|(choice, _)| choice).join("` or `");
            PluginError::invalid_argument(format!("the option `{name}` must be `{names}`"))
        })
    }
}
