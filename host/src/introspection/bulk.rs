//! Introspection of many tokens at once: for gateways that would otherwise ask a hundred times.

use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Introspection, MAX_BODY_BYTES, MAX_BULK_TOKENS,
    caller::{Endpoint, Refused},
    json_body,
};
use crate::oauth2::{self, Form, Problem};

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    tokens: Vec<String>,
}

/// How many are judged at once: what waits for a store waits together, and leaves room for others.
const AT_ONCE: usize = 8;

impl Introspection {
    /// Answers a request for `/oauth2/introspect/bulk`: JSON, `{"tokens":["...",...]}` with at most [`MAX_BULK_TOKENS`] of
    /// them. `{"results":[...]}` has an answer for each, in their order, as [`Introspection::introspect`] gives it; and
    /// `{"error":"temporarily_unavailable"}` for one of which it cannot be told.
    pub async fn introspect_bulk(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        match self.all_introspected(request).await {
            Ok(results) => oauth2::json(StatusCode::OK, &json!({ "results": results })),
            Err(refused) => refused.response(),
        }
    }

    async fn all_introspected(&self, request: &Request<Vec<u8>>) -> Result<Vec<Value>, Refused> {
        let caller = self.caller(request, &Form::default(), Endpoint::Introspection).await?;
        let expected = "expected an object with tokens, a list of texts, and nothing else";
        let Asked { tokens } = json_body::read(request, MAX_BODY_BYTES, expected)?;
        if tokens.len() > MAX_BULK_TOKENS {
            return Err(Problem::Request("expected at most 100 tokens").into());
        }
        let subject = self.subject(request);
        let (caller, subject) = (&caller, &subject);
        let told = tokens.into_iter().map(|token| async move {
            let told = self.told(caller, subject, &token, None).await;
            told.unwrap_or_else(|_| json!({ "error": "temporarily_unavailable" }))
        });
        Ok(stream::iter(told).buffered(AT_ONCE).collect().await)
    }
}
