//! `token-host quickstart`: the main job once, on the configuration at hand, and what to try next.

use std::path::Path;

use token_host::{CreateToken, TokenRestrictions};

use super::{exit::Failure, host, output::Output};

/// Creates a token, verifies it, and prints what to try next.
pub(crate) fn run(config: &Path, output: &Output) -> Result<(), Failure> {
    let host = host(config, output)?;
    let rows = host.plugins();
    let handlers: Vec<&str> = rows.iter().filter(|row| row.kind == "handler").map(|row| row.name.as_str()).collect();
    output.line(&format!("Loaded {}; handlers in call order: {}.\n", config.display(), handlers.join(", ")))?;

    let restrictions = TokenRestrictions::nothing().allow_all("view-instance").allow_database("docs", "view-table");
    let request = CreateToken::new("root").expires_after(3600).restricted_to(restrictions);
    let token = host.create_token_blocking(&request)?.token;
    output.line(&format!("A token for `root`, for one hour, that may look but not touch:\n\n    {token}\n"))?;

    let actor = host.verify_token_blocking(&token)?;
    let actor = actor.ok_or_else(|| Failure::No("no handler recognizes the token that was just made".to_owned()))?;
    let text = serde_json::to_string(&actor).map_err(|error| Failure::Arguments(error.to_string()))?;
    output.line(&format!("Verified, it stands for:\n\n    {text}\n"))?;
    let may = |action: &str| if actor.allows(action, Some("docs"), Some("pages")) { "yes" } else { "no" };
    output.line(&format!(
        "May it view the table `pages` of `docs`? {}. May it insert rows there? {}.\n",
        may("view-table"),
        may("insert-row")
    ))?;

    let program = std::env::args_os().next().unwrap_or_else(|| "token-host".into());
    let program = program.to_string_lossy();
    output.line(&format!(
        "Try next:\n\n\
         \x20   {program} create cleopaws -e 30d -a view-instance\n\
         \x20   {program} verify TOKEN\n\
         \x20   {program} explain TOKEN\n\
         \x20   {program} plugins\n\
         \x20   {program} serve\n\
         \x20   {program} new my-handler"
    ))
}
