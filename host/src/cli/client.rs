//! `token-host client`: the applications that may ask the authorization server for tokens.

use std::path::Path;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::json;
use token_host::{
    Client as Kept, ClientSecret, Clients, Error, ErrorKind, Host, ListClients, block_on,
    oauth2::{GRANT_TYPES, check_redirect_uri, hash_secret, random_secret},
};

use super::{
    confirm::{Confirm, Consent},
    exit::Failure,
    host,
    output::{Output, one_line},
    pages::Paging,
    shown_client::{Shown, print},
    table::table,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Add an application, and print its secret: this once
    Add(Add),
    /// List the applications
    List(List),
    /// Show one application
    Show(One),
    /// Give an application a new secret, and print it: this once; the old one is worthless at once
    RotateSecret(One),
    /// Remove an application and revoke its tokens; asks first
    Remove(Remove),
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Add {
    /// What it calls itself in requests [default: a random one]
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// What people are shown [default: its id]
    #[arg(long, default_value = "", value_name = "TEXT", allow_hyphen_values = true)]
    name: String,

    /// It cannot keep a secret (an app on somebody's device, a page in a browser) and gets none
    #[arg(long)]
    public: bool,

    /// Where codes may be sent, character by character; may be given several times
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,

    /// What it may get tokens for; may be given several times [default: authorization_code and refresh_token, or without
    /// --redirect-uri client_credentials]
    #[arg(long, value_name = "TYPE", value_parser = PossibleValuesParser::new(GRANT_TYPES))]
    grant: Vec<String>,

    /// What it may ask users for; may be given several times [default: code, if it may exchange codes]
    #[arg(long, value_name = "TYPE", value_parser = ["code"])]
    response_type: Vec<String>,

    /// What its tokens may be good for; may be given several times [default: all that there is]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,

    #[command(flatten)]
    store: Store,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct List {
    #[command(flatten)]
    paging: Paging,

    #[command(flatten)]
    store: Store,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct One {
    /// The application
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    store: Store,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Remove {
    #[command(flatten)]
    one: One,

    #[command(flatten)]
    confirm: Confirm,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Store {
    /// The store [default: the one of [oauth2], or else the only one]
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
}

impl Client {
    /// Does it, and prints what there is to know.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(config, output),
            Self::List(List { paging, store }) => {
                let clients = store.open(config, output)?.clients;
                let page = |(after, limit)| {
                    let mut request = ListClients::default();
                    (request.after, request.limit) = (after, limit);
                    let page = block_on(clients.list_clients(&request))?;
                    Ok((page.clients.iter().map(Shown::from).collect(), page.next))
                };
                paging.print("clients", output, page, |clients: Vec<Shown>| {
                    let rows: Vec<[String; 5]> = clients.into_iter().map(Shown::row).collect();
                    table(["ID", "NAME", "KIND", "GRANTS", "SCOPES"], &rows)
                })
            }
            Self::Show(One { id, store }) => {
                let opened = store.open(config, output)?;
                let client = block_on(opened.clients.fetch_by_client_id(&id))?;
                print(&client, None, output)
            }
            Self::RotateSecret(One { id, store }) => {
                let opened = store.open(config, output)?;
                let mut client = block_on(opened.clients.fetch_by_client_id(&id))?;
                if client.secret.is_none() {
                    return Err(Failure::Arguments("it is a public client: expected one that has a secret".to_owned()));
                }
                let secret = new_secret(&mut client)?;
                block_on(opened.clients.update_client(&client))?;
                print(&client, Some(&secret), output)
            }
            Self::Remove(Remove { one: One { id, store }, confirm }) => {
                let consent = confirm.consent()?;
                remove(&store.open(config, output)?, &id, consent, output)
            }
        }
    }
}

impl Add {
    fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        for uri in &self.redirect_uri {
            check_redirect_uri(uri)
                .map_err(|expected| Failure::Arguments(format!("--redirect-uri {uri}: {expected}")))?;
        }
        let usual = match self.redirect_uri.as_slice() {
            [] => &["client_credentials"][..],
            _ => &["authorization_code", "refresh_token"],
        };
        let grants =
            if self.grant.is_empty() { usual.iter().map(|&grant| grant.to_owned()).collect() } else { self.grant };
        let may = |grant: &str| grants.iter().any(|known| known == grant);
        if self.public && may("client_credentials") {
            let message = "a public client has no secret to get tokens of its own with: expected --redirect-uri, \
                           or no client_credentials";
            return Err(Failure::Arguments(message.to_owned()));
        }
        if may("authorization_code") && self.redirect_uri.is_empty() {
            return Err(Failure::Arguments("codes have to be sent somewhere: expected --redirect-uri".to_owned()));
        }
        let response_types = match may("authorization_code") {
            true if self.response_type.is_empty() => vec!["code".to_owned()],
            _ => self.response_type,
        };
        let opened = self.store.open(config, output)?;
        opened.check_scopes(&self.scope)?;
        let id = match self.id {
            Some(id) => id,
            // With letters at its beginning: it is going to be an argument of commands.
            None => random_secret("thc_")?,
        };
        check_id(&id)?;
        let mut client = Kept::new(id);
        client.name = self.name;
        client.redirect_uris = self.redirect_uri;
        client.authorized_grants = Some(grants);
        client.authorized_response_types = Some(response_types);
        client.scopes = Some(self.scope).filter(|scopes| !scopes.is_empty());
        let secret = if self.public { None } else { Some(new_secret(&mut client)?) };
        block_on(opened.clients.add_client(&client))?;
        print(&client, secret.as_deref(), output)
    }
}

/// A store for clients, and the host that it belongs to.
struct Opened {
    host: Host,
    name: String,
    clients: Clients,
}

impl Store {
    fn open(self, config: &Path, output: &Output) -> Result<Opened, Failure> {
        let host = host(config, output)?;
        let configured = host.oauth2().map(|server| server.settings().store.clone());
        let name = match self.store.or(configured) {
            Some(name) => name,
            None => match host.stores().client_store_names().as_slice() {
                [only] => only.clone(),
                [] => return Err(Failure::Arguments("no plugin keeps clients: expected one that does".to_owned())),
                several => {
                    let message = format!("several stores keep clients: expected --store, one of {several:?}");
                    return Err(Failure::Arguments(message));
                }
            },
        };
        let clients = host.stores().clients(&name)?;
        Ok(Opened { host, name, clients })
    }
}

impl Opened {
    /// A scope that there is not would never be granted.
    fn check_scopes(&self, scopes: &[String]) -> Result<(), Failure> {
        let Some(server) = self.host.oauth2() else { return Ok(()) };
        let known = &server.settings().scopes;
        match scopes.iter().find(|scope| !known.contains_key(*scope)) {
            None => Ok(()),
            Some(unknown) => {
                let known: Vec<&String> = known.keys().collect();
                Err(Failure::Arguments(format!(
                    "--scope {unknown}: expected one of [oauth2.scopes], which are {known:?}"
                )))
            }
        }
    }
}

/// First the client, so that it gets no new tokens while the old ones go.
fn remove(opened: &Opened, id: &str, consent: Consent, output: &Output) -> Result<(), Failure> {
    let client = block_on(opened.clients.fetch_by_client_id(id))?;
    let name = if client.name.is_empty() { String::new() } else { format!(" ({})", one_line(&client.name)) };
    consent.to(&format!("The client {}{name} is to go, and with it all of its tokens.", one_line(id)))?;
    block_on(opened.clients.remove_client(id))?;
    let revoked = revoked(opened, id)?;
    if output.is_json() {
        return output.json(&json!({ "client_id": id, "revoked_tokens": revoked }));
    }
    if revoked.is_none() {
        output.note("the store cannot find a client's tokens: they work until they expire");
    }
    let revoked = revoked.map_or(String::new(), |count| format!(", and {count} tokens"));
    output.line(&format!("removed: {}{revoked}", one_line(id)))
}

/// How many tokens were revoked; none: the store keeps none, or cannot.
fn revoked(opened: &Opened, id: &str) -> Result<Option<u64>, Error> {
    let revoked = opened.host.stores().access_tokens(&opened.name);
    match revoked.and_then(|tokens| block_on(tokens.revoke_tokens_of_client(id))) {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidArgument) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives a client a new secret, of which only the hash is kept.
fn new_secret(client: &mut Kept) -> Result<String, Error> {
    let secret = random_secret("ths_")?;
    client.secret = Some(ClientSecret::Argon2id(hash_secret(&secret)?));
    Ok(secret)
}

/// What goes through headers and logs without harm.
fn check_id(id: &str) -> Result<(), Failure> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match (1..=128).contains(&id.len()) && id.bytes().all(is_good) {
        true => Ok(()),
        false => Err(Failure::Arguments("--id: expected 1 to 128 of A-Z, a-z, 0-9, `-`, `.`, `_` and `~`".to_owned())),
    }
}
