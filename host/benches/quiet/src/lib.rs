//! A plugin with one handler that recognizes nothing: what remains of a call is the way there and back.

mod handler;

use token_plugin_api::{Hooks, NoConfig, Result, export_plugin};

fn register(hooks: &mut Hooks, _: NoConfig) -> Result<()> {
    hooks.handler(handler::Quiet);
    Ok(())
}

export_plugin! { name: "quiet", hooks: [TokenHandler], register: register }
