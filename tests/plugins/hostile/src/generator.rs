//! A token generator whose tokens anybody could guess.

use serde_json::{Map, Value};
use token_plugin_api::{PluginError, Result, TokenGenerator};

use crate::{
    fuse::Fuse,
    settings::{Generate, GeneratorSettings},
};

pub(crate) struct Generator {
    settings: GeneratorSettings,
    _fuse: Fuse,
}

impl Generator {
    pub(crate) fn new(settings: GeneratorSettings) -> Self {
        let fuse = Fuse(settings.drop.clone());
        Self { settings, _fuse: fuse }
    }

    fn act(&self) -> Result<()> {
        match self.settings.generate {
            Generate::Ok | Generate::Attempt => Ok(()),
            Generate::Fail => Err(PluginError::failed("it was told to fail to generate")),
            Generate::Panic => panic!("it was told to panic when generating"),
        }
    }
}

impl TokenGenerator for Generator {
    fn id(&self) -> &str {
        self.settings.naming.of(&self.settings.id)
    }

    fn pattern(&self) -> Option<String> {
        self.settings.pattern.clone()
    }

    fn create_token(&self, token_info: &Map<String, Value>) -> Result<String> {
        self.act()?;
        let seed = token_info.get("seed").and_then(Value::as_str);
        let seed = seed.ok_or_else(|| PluginError::missing_token_info("seed"))?;
        let attempt = match self.settings.generate {
            Generate::Attempt => token_info.get("attempt").map_or_else(String::new, Value::to_string),
            _ => String::new(),
        };
        Ok(format!("{}_{seed}{attempt}", self.settings.id))
    }

    fn validate_token(&self, token: &str, _: &Map<String, Value>) -> Result<bool> {
        self.act()?;
        Ok(token.strip_prefix(&self.settings.id).is_some_and(|rest| rest.starts_with('_')))
    }
}
