//! The server's metadata (RFC 8414): what clients need to know to find their way.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;

use super::{AUTHORIZATION_CODE, AuthorizationServer, CLIENT_CREDENTIALS, PASSWORD, REFRESH_TOKEN, pkce};

impl AuthorizationServer {
    /// Answers a request for `/.well-known/oauth-authorization-server`.
    pub fn metadata(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut response = super::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "invalid_request" }));
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let issuer = &self.settings.issuer;
        let mut grant_types = vec![AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN];
        grant_types.extend(self.takes_passwords().then_some(PASSWORD));
        let mut metadata = json!({
            "issuer": issuer.as_str(),
            "authorization_endpoint": format!("{}{}", issuer.origin(), issuer.authorize_path()),
            "token_endpoint": format!("{}{}", issuer.origin(), issuer.token_path()),
            "introspection_endpoint": format!("{}{}", issuer.origin(), issuer.introspection_path()),
            // The last is the type of a token (RFC 8414 §2).
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "Bearer"],
            "revocation_endpoint": format!("{}{}", issuer.origin(), issuer.revocation_path()),
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": grant_types,
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": [pkce::S256],
            "authorization_response_iss_parameter_supported": true,
        });
        if !self.settings.scopes.is_empty() {
            metadata["scopes_supported"] = self.settings.scopes.keys().cloned().collect();
        }
        super::json(StatusCode::OK, &metadata)
    }
}
