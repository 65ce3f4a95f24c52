//! What python-oauth2 keeps: its fields in its order.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use token_plugin_api::{AccessToken, AuthorizationCode, Client, ClientSecret, PluginError, Result};

/// `AccessToken.__dict__`, under the token, the refresh token, and what [`PythonToken::last`] says.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PythonToken {
    pub(super) client_id: String,
    pub(super) grant_type: String,
    pub(super) token: String,
    #[serde(default)]
    pub(super) data: Value,
    pub(super) expires_at: Option<Number>,
    pub(super) refresh_token: Option<String>,
    /// 0 is for ever, too.
    pub(super) refresh_expires_at: Option<Number>,
    #[serde(default)]
    pub(super) scopes: Option<Vec<String>>,
    /// A number with some, a text with others: what it is, it stays.
    #[serde(default)]
    pub(super) user_id: Value,
}

/// What `save_code` writes, under the code.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PythonCode {
    pub(super) client_id: String,
    pub(super) code: String,
    pub(super) expires_at: Number,
    pub(super) redirect_uri: Option<String>,
    #[serde(default)]
    pub(super) scopes: Option<Vec<String>>,
    #[serde(default)]
    pub(super) data: Value,
    #[serde(default)]
    pub(super) user_id: Value,
}

/// What `add_client` writes, under the identifier.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PythonClient {
    pub(super) identifier: String,
    pub(super) secret: Option<String>,
    pub(super) redirect_uris: Option<Vec<String>>,
    #[serde(default)]
    pub(super) authorized_grants: Option<Vec<String>>,
    #[serde(default)]
    pub(super) authorized_response_types: Option<Vec<String>>,
}

impl PythonToken {
    /// # Errors
    ///
    /// When it has no value.
    pub(super) fn of(token: &AccessToken) -> Result<Self> {
        let value = token.token.clone().ok_or_else(|| PluginError::invalid_argument("the token has no value"))?;
        Ok(Self {
            client_id: token.client_id.clone(),
            grant_type: token.grant_type.clone(),
            token: value,
            data: token.data.clone().into(),
            expires_at: token.expires_at.map(Number::from),
            refresh_token: token.refresh_token.clone(),
            // Python compares what is there with a number.
            refresh_expires_at: token.refresh_token.as_ref().map(|_| token.refresh_expires_at.unwrap_or(0).into()),
            scopes: Some(token.scopes.clone()),
            user_id: token.user_id.clone().into(),
        })
    }

    /// # Errors
    ///
    /// When its data is nothing that we have.
    pub(super) fn to_token(&self, family_id: Option<String>) -> Result<AccessToken> {
        let mut token = AccessToken::new(self.client_id.as_str(), self.grant_type.as_str(), self.token.as_str());
        token.data = object(&self.data)?;
        token.expires_at = self.expires_at();
        token.refresh_token.clone_from(&self.refresh_token);
        token.refresh_expires_at = self.refresh_token.as_ref().and(self.refresh_expires_at());
        token.scopes = self.scopes.clone().unwrap_or_default();
        token.user_id = text(&self.user_id);
        token.family_id = family_id;
        Ok(token)
    }

    pub(super) fn expires_at(&self) -> Option<u64> {
        self.expires_at.as_ref().map(seconds)
    }

    pub(super) fn refresh_expires_at(&self) -> Option<u64> {
        self.refresh_expires_at.as_ref().map(seconds).filter(|expires_at| *expires_at != 0)
    }

    /// What a client got last for a user is asked by.
    pub(super) fn last(&self) -> String {
        last(&self.client_id, &self.grant_type, text(&self.user_id).as_deref())
    }
}

/// `_unique_token_key`.
pub(super) fn last(client_id: &str, grant_type: &str, user_id: Option<&str>) -> String {
    format!("{client_id}_{grant_type}_{}", user_id.unwrap_or("None"))
}

impl PythonCode {
    /// # Errors
    ///
    /// When it has no value.
    pub(super) fn of(code: &AuthorizationCode) -> Result<Self> {
        let value = code.code.clone().ok_or_else(|| PluginError::invalid_argument("the code has no value"))?;
        Ok(Self {
            client_id: code.client_id.clone(),
            code: value,
            expires_at: code.expires_at.into(),
            redirect_uri: Some(code.redirect_uri.clone()),
            scopes: Some(code.scopes.clone()),
            data: code.data.clone().into(),
            user_id: code.user_id.clone().into(),
        })
    }

    /// # Errors
    ///
    /// When its data is nothing that we have.
    pub(super) fn to_code(&self, family_id: String) -> Result<AuthorizationCode> {
        let redirect_uri = self.redirect_uri.as_deref().unwrap_or_default();
        let (client_id, code) = (self.client_id.as_str(), self.code.as_str());
        let mut code = AuthorizationCode::new(client_id, code, self.expires_at(), redirect_uri, family_id);
        code.scopes = self.scopes.clone().unwrap_or_default();
        code.data = object(&self.data)?;
        code.user_id = text(&self.user_id);
        Ok(code)
    }

    pub(super) fn expires_at(&self) -> u64 {
        seconds(&self.expires_at)
    }
}

impl PythonClient {
    /// # Errors
    ///
    /// Unsupported, when it has what that library does not keep, or cannot check.
    pub(super) fn of(client: &Client) -> Result<Self> {
        let secret = match &client.secret {
            None => None,
            Some(ClientSecret::Plain(secret)) => Some(secret.clone()),
            Some(_) => return Err(PluginError::unsupported("a hashed secret, which python-oauth2 cannot check,")),
        };
        if client.scopes.is_some() || !client.name.is_empty() {
            return Err(PluginError::unsupported("a client's name or scopes, which python-oauth2 does not keep,"));
        }
        Ok(Self {
            identifier: client.identifier.clone(),
            secret,
            redirect_uris: Some(client.redirect_uris.clone()),
            authorized_grants: client.authorized_grants.clone(),
            authorized_response_types: client.authorized_response_types.clone(),
        })
    }

    pub(super) fn into_client(self) -> Client {
        let mut client = Client::new(self.identifier);
        client.secret = self.secret.map(ClientSecret::Plain);
        client.redirect_uris = self.redirect_uris.unwrap_or_default();
        client.authorized_grants = self.authorized_grants;
        client.authorized_response_types = self.authorized_response_types;
        client
    }
}

fn object(data: &Value) -> Result<Map<String, Value>> {
    match data {
        Value::Null => Ok(Map::new()),
        Value::Object(data) => Ok(data.clone()),
        _ => Err(PluginError::failed("the data of a token or a code is no object")),
    }
}

fn text(user_id: &Value) -> Option<String> {
    match user_id {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Python's time may have a fraction.
fn seconds(time: &Number) -> u64 {
    // What is negative is over, and what is too large never is: both as they are cut off.
    time.as_u64().unwrap_or_else(|| time.as_f64().unwrap_or_default() as u64)
}
