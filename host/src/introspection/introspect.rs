//! Introspection of one token (RFC 7662).

use http::{Request, Response, StatusCode};
use serde_json::Value;
use token_plugin_api::Verdict;

use super::{
    Introspection,
    active::{active, active_refresh_token, inactive, may_know},
    caller::{Caller, Endpoint, Refused},
};
use crate::{
    authenticate::Subject,
    oauth2::{self, Problem},
};

impl Introspection {
    /// Answers a request for `/oauth2/introspect`: a form with `token`, and perhaps `token_type_hint`.
    pub async fn introspect(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        match self.introspected(request).await {
            Ok(told) => oauth2::json(StatusCode::OK, &told),
            Err(refused) => refused.response(),
        }
    }

    async fn introspected(&self, request: &Request<Vec<u8>>) -> Result<Value, Refused> {
        let form = oauth2::read_form(request)?;
        let caller = self.caller(request, &form, Endpoint::Introspection).await?;
        let token = oauth2::required(&form, "token", "expected token")?;
        Ok(self.told(&caller, &self.subject(request), token, form.value("token_type_hint")).await?)
    }

    /// What a caller is told of a token. The hint is where to look first: a refresh token is nothing to any handler.
    pub(super) async fn told(
        &self,
        caller: &Caller,
        subject: &Subject<'_>,
        token: &str,
        hint: Option<&str>,
    ) -> Result<Value, Problem> {
        let looks_there_first = hint == Some("refresh_token");
        if looks_there_first && let Some(told) = refresh_token(caller, token).await? {
            return Ok(told);
        }
        let (handler, verdict) = self.authenticator.judge(token, subject).await;
        match verdict? {
            Verdict::Accepted(actor) => match &caller.client {
                Some(client) if !may_know(&client.identifier, &actor) => Ok(inactive()),
                _ => Ok(active(&actor, handler.as_deref(), caller.server.as_ref())?),
            },
            _ if looks_there_first => Ok(inactive()),
            _ => Ok(refresh_token(caller, token).await?.unwrap_or_else(inactive)),
        }
    }
}

/// What a client is told of its own refresh token.
async fn refresh_token(caller: &Caller, token: &str) -> Result<Option<Value>, Problem> {
    let (Some(server), Some(client)) = (&caller.server, &caller.client) else { return Ok(None) };
    let kept = server.own_refresh_token(client, token).await?;
    Ok(kept.map(|kept| active_refresh_token(&kept, server)))
}
