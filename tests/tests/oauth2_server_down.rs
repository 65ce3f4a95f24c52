//! An authorization server whose stores cannot be asked, or are not there.

use http::Request;
use token_host::{
    AccessToken, AuthorizationCode, Client, ClientSecret, Consumption, Host, RotateRefreshToken, Rotation,
    StaticPlugin, block_on,
    oauth2::Peer,
    token_plugin_api::{AccessTokenStore, AuthCodeStore, ClientStore, Hooks, NoConfig, PluginError, Result},
};
use token_host_tests::{Reply, encoded, form_in};

use crate::oauth2_server::{BACK, CHALLENGE, asking, exchange};

/// Stores that cannot be asked, and say why in words that are nobody's business; clients perhaps can.
struct Down {
    has_clients: bool,
}

fn down<T>() -> Result<T> {
    Err(PluginError::failed("postgres://admin:hunter2@db is down"))
}

impl AccessTokenStore for Down {
    fn name(&self) -> &str {
        "oauth2"
    }

    async fn save_token(&self, _: &AccessToken) -> Result<()> {
        down()
    }

    async fn fetch_by_token(&self, _: &str) -> Result<AccessToken> {
        down()
    }

    async fn fetch_by_refresh_token(&self, _: &str) -> Result<AccessToken> {
        down()
    }

    async fn delete_refresh_token(&self, _: &str) -> Result<()> {
        down()
    }

    async fn rotate_refresh_token(&self, _: &RotateRefreshToken) -> Result<Rotation> {
        down()
    }

    async fn revoke_token(&self, _: &str, _: Option<&str>) -> Result<bool> {
        down()
    }

    async fn revoke_family(&self, _: &str) -> Result<()> {
        down()
    }
}

impl AuthCodeStore for Down {
    fn name(&self) -> &str {
        "oauth2"
    }

    async fn save_code(&self, _: &AuthorizationCode) -> Result<()> {
        down()
    }

    async fn fetch_by_code(&self, _: &str) -> Result<AuthorizationCode> {
        down()
    }

    async fn delete_code(&self, _: &str) -> Result<()> {
        down()
    }

    async fn consume_code(&self, _: &str, _: &str, _: &str) -> Result<Consumption> {
        down()
    }
}

impl ClientStore for Down {
    fn name(&self) -> &str {
        "oauth2"
    }

    async fn fetch_by_client_id(&self, id: &str) -> Result<Client> {
        let mut client = Client::new(id);
        client.secret = Some(ClientSecret::Plain("xyz".to_owned()));
        client.redirect_uris = vec![BACK.to_owned()];
        if self.has_clients { Ok(client) } else { down() }
    }
}

/// A host with such stores.
pub(crate) fn host_without_stores(has_clients: bool) -> Host {
    let plugin = StaticPlugin::new("down", move |hooks: &mut Hooks, _: NoConfig| {
        hooks.access_token_store(Down { has_clients });
        hooks.auth_code_store(Down { has_clients });
        hooks.client_store(Down { has_clients });
        Ok(())
    });
    let config = "[oauth2]\nissuer = 'https://auth.example'\nuser_header = 'x-user'";
    Host::builder().plugin(plugin).config_text(config, ".").build().unwrap()
}

#[test]
fn a_store_that_cannot_be_asked_is_no_no() {
    for has_clients in [false, true] {
        let server = host_without_stores(has_clients).oauth2().unwrap();
        let grants = [
            &[("grant_type", "client_credentials")][..],
            &exchange("thc_x"),
            &[("grant_type", "refresh_token"), ("refresh_token", "thr_x")],
        ];
        for grant in grants {
            let form: Vec<_> = [("client_id", "app"), ("client_secret", "xyz")].iter().chain(grant).copied().collect();
            let response = block_on(server.token(&form_in(Request::post("/oauth2/token"), &form)));
            assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"5".parse().unwrap()));
            let body = String::from_utf8(response.into_body()).unwrap();
            assert!(body.contains("temporarily_unavailable") && !body.contains("hunter2"), "{body}");
        }
        let query = encoded(&asking("app", &CHALLENGE));
        let get = Request::get(format!("/oauth2/authorize?{query}")).header("x-user", "ann").body(Vec::new()).unwrap();
        let page = Reply::from(block_on(server.authorize(&get, Peer::Trusted)));
        assert!(!page.body.contains("hunter2"));
        if !has_clients {
            assert_eq!((page.status, page.header("location"), page.header("retry-after")), (503, "", "5"));
            continue;
        }
        let mut form = page.fields();
        form.push(("decision".to_owned(), "allow".to_owned()));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let post = form_in(Request::post("/oauth2/authorize").header("x-user", "ann"), &form);
        let (to, told) = Reply::from(block_on(server.authorize(&post, Peer::Trusted))).sent_to();
        assert_eq!((to.as_str(), told["error"].as_str()), (BACK, "temporarily_unavailable"), "the code was not kept");
    }
}

#[test]
fn a_server_without_its_stores_does_not_start() {
    let config = "[oauth2]\nissuer = 'https://auth.example'\naccess_token = { handler = 'jwt' }";
    let found = Host::from_str(config).unwrap_err().to_string();
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 4, "{found}");
    for line in lines {
        assert!(line.starts_with("<string>:1:2: [oauth2] needs the "), "{found}");
    }
}
