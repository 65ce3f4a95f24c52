//! Kubernetes' `TokenReview` of `authentication.k8s.io/v1`: the host as an API server's webhook for tokens.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication>

use http::{Request, Response, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use token_plugin_api::Verdict;

use super::{
    Introspection,
    caller::{Endpoint, Refused},
    json_body::{self, Object},
    review::{Review, Reviewer},
};
use crate::oauth2::{self, Form, Problem};

/// What an API server asks. Fields that others add to the kind are passed over, as Kubernetes does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    api_version: String,
    kind: String,
    #[serde(deserialize_with = "object")]
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    token: String,
    #[serde(default)]
    audiences: Option<Vec<String>>,
}

fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spec, D::Error> {
    Object::deserialize(deserializer).map(|object| object.0)
}

const API_VERSION: &str = "authentication.k8s.io/v1";
const KIND: &str = "TokenReview";

/// A larger body is refused: a token as long as any may be, and a few audiences.
const MAX_REVIEW_BYTES: usize = 64 * 1024;

impl Introspection {
    /// Answers a request for `/k8s/tokenreviews` of an API server, which has a token that names `tokenreview`.
    ///
    /// What cannot be told is 503, not "not authenticated": the API server then asks again, and keeps no such answer for
    /// as long as it keeps a "no". Queries are passed over: API servers add `?timeout=30s`.
    pub async fn token_review(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        match self.reviewed(request).await {
            Ok(status) => {
                let answer = json!({ "apiVersion": API_VERSION, "kind": KIND, "status": status });
                oauth2::json(StatusCode::OK, &answer)
            }
            Err(refused) => refused.response(),
        }
    }

    async fn reviewed(&self, request: &Request<Vec<u8>>) -> Result<Value, Refused> {
        self.caller(request, &Form::default(), Endpoint::TokenReview).await?;
        let asked: Asked = json_body::read(request, MAX_REVIEW_BYTES, "expected a TokenReview")?;
        if asked.api_version != API_VERSION || asked.kind != KIND {
            return Err(Problem::Request("expected the kind TokenReview of authentication.k8s.io/v1").into());
        }
        let Spec { token, audiences } = asked.spec;
        if token.is_empty() {
            return Err(Problem::Request("expected spec.token").into());
        }
        let (handler, verdict) = self.authenticator.judge(&token, &self.subject(request)).await;
        let reviewer =
            Reviewer { audiences: &audiences.unwrap_or_default(), system_identities: self.system_identities };
        let review = match verdict? {
            Verdict::Accepted(actor) => reviewer.review(&actor, handler.as_deref()),
            Verdict::Rejected(reason) => Review::Refused(reason.message().to_owned()),
            Verdict::NotRecognized => Review::Unknown,
        };
        Ok(review.status())
    }
}
