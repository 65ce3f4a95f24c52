//! A plugin that registers a hook which its manifest does not declare.

use serde_json::{Map, Value};
use token_plugin_api::{Hooks, NoConfig, Result, TokenGenerator, export_plugin};

struct Generator;

impl TokenGenerator for Generator {
    fn id(&self) -> &str {
        "undeclared"
    }

    fn create_token(&self, _: &Map<String, Value>) -> Result<String> {
        Ok("token".to_owned())
    }

    fn validate_token(&self, token: &str, _: &Map<String, Value>) -> Result<bool> {
        Ok(token == "token")
    }
}

fn register(hooks: &mut Hooks, _: NoConfig) -> Result<()> {
    hooks.token_generator(Generator);
    Ok(())
}

export_plugin! { name: "undeclared", hooks: [TokenHandler], register: register }
