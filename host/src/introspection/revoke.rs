//! Revocation (RFC 7009): a client's own tokens by the client, anybody's by whoever names the action.

use http::{Request, Response};
use token_plugin_api::{Actor, InvalidateTokens, ReasonKind, RequestContext, TokenSelector, Verdict};

use super::{
    Introspection,
    active::is_issued_to,
    caller::{Caller, Endpoint, Refused},
};
use crate::{
    error::ErrorKind,
    oauth2::{self, Problem, REVOCATION_REASON},
};

impl Introspection {
    /// Answers a request for `/oauth2/revoke`: a form with `token`, and perhaps `token_type_hint`, of which nothing is
    /// needed. A token that is unknown, over, or another client's is 200 as well (RFC 7009 §2.2), and goes on as it was.
    pub async fn revoke(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        match self.revoked(request).await {
            Ok(()) => {
                let mut response = Response::default();
                oauth2::never_kept(&mut response);
                response
            }
            Err(refused) => refused.response(),
        }
    }

    async fn revoked(&self, request: &Request<Vec<u8>>) -> Result<(), Refused> {
        let form = oauth2::read_form(request)?;
        let caller = self.caller(request, &form, Endpoint::Revocation).await?;
        let token = oauth2::required(&form, "token", "expected token")?;
        let subject = self.subject(request);
        let context = subject.context_of(&caller.by);
        let (handler, verdict) = self.authenticator.judge(token, &subject).await;
        let may_be_revoked = match &verdict? {
            Verdict::Accepted(actor) => caller.may_revoke(actor, handler.as_deref()),
            // These may be good later.
            Verdict::Rejected(reason) => {
                let is_over = !matches!(reason.kind(), ReasonKind::NotYetValid | ReasonKind::Disabled);
                caller.client.is_none() && !is_over
            }
            Verdict::NotRecognized => false,
        };
        if may_be_revoked {
            self.invalidate(handler.as_deref(), token, &context).await?;
        }
        // Refresh tokens, and what is kept of an access token that a handler made.
        if let Some(server) = &caller.server {
            server.clone().with_context(context).revoke(caller.client.as_ref(), token).await?;
        }
        Ok(())
    }

    /// Has a token's handler invalidate it.
    async fn invalidate(&self, handler: Option<&str>, token: &str, context: &RequestContext) -> Result<(), Problem> {
        // A wrapper's own has nobody who could.
        let Some(handler) = handler else { return Err(Problem::TokenType) };
        let request = InvalidateTokens::new(TokenSelector::Token(token.to_owned()), REVOCATION_REASON);
        match self.host().invalidate_tokens_in(Some(handler), &request, context).await {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                // Somebody else was quicker.
                ErrorKind::NotFound(_) | ErrorKind::TokenInvalid(_) => Ok(()),
                // The handler keeps none, is set not to, or has no name for this one.
                ErrorKind::Unsupported | ErrorKind::Disabled | ErrorKind::InvalidArgument => Err(Problem::TokenType),
                _ => Err(error.into()),
            },
        }
    }
}

impl Caller {
    /// Whether a token that a handler accepts may be revoked: anybody's by who names the action; by a client what this
    /// server issued to it.
    fn may_revoke(&self, actor: &Actor, handler: Option<&str>) -> bool {
        let Some(client) = &self.client else { return true };
        let is_issued_here =
            || self.server.as_ref().zip(handler).is_some_and(|(server, handler)| server.issues_tokens_of(handler));
        is_issued_to(&client.identifier, actor) && is_issued_here()
    }
}
