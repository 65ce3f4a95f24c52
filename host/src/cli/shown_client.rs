//! A client as people and programs read it: all but its secret's hash.

use serde::Serialize;
use serde_json::json;
use token_host::Client as Kept;

use super::{
    exit::Failure,
    output::{Output, one_line},
};

/// A client without its secret's hash.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    client_id: String,
    name: String,
    public: bool,
    redirect_uris: Vec<String>,
    /// `null`: all.
    grants: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
}

impl From<&Kept> for Shown {
    fn from(client: &Kept) -> Self {
        let client = client.clone();
        Self {
            client_id: client.identifier,
            name: client.name,
            public: client.secret.is_none(),
            redirect_uris: client.redirect_uris,
            grants: client.authorized_grants,
            response_types: client.authorized_response_types,
            scopes: client.scopes,
        }
    }
}

impl Shown {
    fn kind(&self) -> String {
        if self.public { "public" } else { "confidential" }.to_owned()
    }

    /// A row of a table.
    pub(super) fn row(self) -> [String; 5] {
        let kind = self.kind();
        [self.client_id, self.name, kind, all_or(self.grants), all_or(self.scopes)]
    }
}

fn all_or(some: Option<Vec<String>>) -> String {
    some.map_or_else(|| "all".to_owned(), |some| some.join(" "))
}

/// Prints a client, and its secret if it is new.
pub(super) fn print(client: &Kept, secret: Option<&str>, output: &Output) -> Result<(), Failure> {
    let shown = Shown::from(client);
    if output.is_json() {
        let mut value = json!({ "client": shown });
        if let Some(secret) = secret {
            value["client_secret"] = secret.into();
        }
        return output.json(&value);
    }
    let mut lines = vec![("client id", shown.client_id.clone())];
    lines.extend(secret.map(|secret| ("client secret", secret.to_owned())));
    lines.extend(Some(("name", shown.name.clone())).filter(|_| !shown.name.is_empty()));
    lines.push(("kind", shown.kind()));
    lines.extend(shown.redirect_uris.iter().map(|uri| ("redirect URI", uri.clone())));
    lines.push(("grants", all_or(shown.grants)));
    lines.push(("response types", all_or(shown.response_types)));
    lines.push(("scopes", all_or(shown.scopes)));
    for (what, value) in lines {
        output.line(&format!("{what}: {}", one_line(&value)))?;
    }
    if secret.is_some() {
        output.note("the secret is shown this once: only its hash is kept");
    }
    Ok(())
}
