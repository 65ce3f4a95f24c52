//! `/auth`: a proxy asks about a request that it has, and gets 200 with who it is from, or why not.
//!
//! Proxies differ in what they make of other statuses, and some let requests pass that could not be asked about. So
//! answers are 200, 401 and 403; 400 and 429 as well, but for nginx, which takes them for errors of its own. Whatever
//! cannot be told is 403 with `X-Error-Status: 503`.

use std::collections::HashSet;

use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use axum::body::Body;
use tracing::Span;

use super::{
    identity::{self, TooLong},
    problem::Problem,
    service::{Origin, RETRY_AFTER, Service},
    trace, well_formed,
};
use crate::{
    authenticate::{
        Identity, Refusal, RequiredAction, RequiredResource, Requirement, Subject, TOKEN_DEPRECATED, Target,
        client_address, decoded, in_one_generation,
    },
    config::HttpSettings,
};

/// How the proxy that asks tells of the request, and which answers it understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// `/auth`: `X-Forwarded-Method`, `-Host`, `-Uri`, as Caddy and Traefik send them.
    Forwarded,
    /// `/auth/nginx`: `X-Original-Method`, `-Host`, `-URI`.
    Nginx,
    /// `/auth/envoy/...`: the request itself, its path behind that.
    Envoy,
}

/// Where Envoy puts the path of the request.
const ENVOY_PREFIX: &str = "/auth/envoy";

/// The status that is meant, where the proxy does not understand it.
pub(super) const ERROR_STATUS: HeaderName = HeaderName::from_static("x-error-status");

impl Caller {
    /// The caller that asks at this path; `None`: it is none of theirs.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path.strip_prefix("/auth")? {
            "" | "/" => Some(Self::Forwarded),
            "/nginx" => Some(Self::Nginx),
            rest if rest == "/envoy" || rest.starts_with("/envoy/") => Some(Self::Envoy),
            _ => None,
        }
    }
}

/// The request that a proxy tells of.
#[derive(Debug, Clone, Copy, Default)]
struct Told<'r> {
    method: Option<&'r str>,
    host: Option<&'r str>,
    path: Option<&'r str>,
    query: Option<&'r str>,
}

/// What is required of a request, by whoever asks and by the rules.
struct Asked {
    by_caller: Requirement,
    by_rules: Requirement,
    optional: bool,
}

/// Answers a proxy.
pub(super) async fn respond(
    service: &Service,
    origin: Origin,
    parts: &Parts,
    caller: Caller,
    span: &Span,
) -> Response<Body> {
    let judged = judged(service, origin, parts, caller).await;
    trace::judged(span, &judged);
    match judged {
        Ok(identity) => accepted(service, identity.as_ref()),
        Err(refusal) => refused(service, &refusal, caller),
    }
}

/// The answer when too many requests are being served.
pub(super) fn too_much(service: &Service, caller: Caller) -> Response<Body> {
    refused(service, &Refusal::Unavailable(RETRY_AFTER), caller)
}

/// Whom the request is from; `None`: from nobody, and it may pass all the same.
async fn judged(service: &Service, origin: Origin, parts: &Parts, caller: Caller) -> Result<Option<Identity>, Refusal> {
    well_formed::check(&parts.method, &parts.uri, parts.version, &parts.headers).map_err(Refusal::Request)?;
    in_one_generation(service.host(), || judged_now(service, origin, parts, caller)).await
}

/// The same, by rules and handlers that may be of two generations.
async fn judged_now(
    service: &Service,
    origin: Origin,
    parts: &Parts,
    caller: Caller,
) -> Result<Option<Identity>, Refusal> {
    let (told, asked, client) = {
        let settings = service.settings();
        let peer = origin.peer(&settings);
        let is_believed = peer.is_trusted(&settings.trusted_proxies);
        let told = Told::by(caller, parts, is_believed)?;
        let client = client_address(&parts.headers, peer, &settings.trusted_proxies);
        (told, Asked::of(caller, parts, told, &settings)?, client)
    };
    let subject = Subject {
        headers: &parts.headers,
        method: told.method.unwrap_or(parts.method.as_str()),
        host: told.host,
        path: told.path.unwrap_or(parts.uri.path()),
        query: told.query,
        client,
    };
    match service.authenticator().authenticate(&subject, &asked.by_caller).await {
        Ok(identity) if asked.by_rules.is_met_by(&identity.actor) => Ok(Some(identity)),
        Ok(_) => Err(Refusal::Scope(asked.by_rules.scope_text())),
        Err(Refusal::NoCredentials) if asked.optional => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

impl<'r> Told<'r> {
    fn by(caller: Caller, parts: &'r Parts, is_believed: bool) -> Result<Self, Refusal> {
        let [method, host, uri] = match caller {
            Caller::Envoy => {
                let path = parts.uri.path().strip_prefix(ENVOY_PREFIX);
                let host =
                    parts.uri.host().map_or_else(|| only(&parts.headers, header::HOST.as_str()), |host| Ok(Some(host)));
                let path = path.map(|path| if path.is_empty() { "/" } else { path });
                return Ok(Self { method: Some(parts.method.as_str()), host: host?, path, query: parts.uri.query() });
            }
            // Anybody could have written them.
            _ if !is_believed => return Ok(Self::default()),
            Caller::Forwarded => ["x-forwarded-method", "x-forwarded-host", "x-forwarded-uri"],
            Caller::Nginx => ["x-original-method", "x-original-host", "x-original-uri"],
        };
        let headers = &parts.headers;
        let uri = only(headers, uri)?;
        let (path, query) =
            match uri.map(|uri| uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)))) {
                Some((path, query)) => (Some(path), query),
                None => (None, None),
            };
        Ok(Self { method: only(headers, method)?, host: only(headers, host)?, path, query })
    }
}

/// The header's value, of which there may be one.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| Refusal::Request("expected forwarded headers of ASCII"))?;
            Ok(Some(text))
        }
        _ => Err(Refusal::Request("expected each forwarded header once")),
    }
}

impl Asked {
    fn of(caller: Caller, parts: &Parts, told: Told<'_>, settings: &HttpSettings) -> Result<Self, Refusal> {
        let by_caller = match (caller, parts.uri.query()) {
            // The query there is that of the request: whoever sent it must not choose.
            (Caller::Envoy, _) | (_, None | Some("")) => Requirement::nothing(),
            (_, Some(query)) => named(query)?,
        };
        let found = settings.rules.find(Target { method: told.method, host: told.host, path: told.path })?;
        let optional = found.optional && by_caller.is_nothing();
        Ok(Self { by_caller, by_rules: found.requirement, optional })
    }
}

/// What the query requires. What is not understood is refused: a misspelt word must not open a door.
fn named(query: &str) -> Result<Requirement, Refusal> {
    const MALFORMED: Refusal = Refusal::Request("the query is malformed");
    let mut requirement = Requirement::nothing();
    let (mut action, mut database, mut resource) = (None, None, None);
    let (mut policy, mut policy_method, mut policy_id) = (None, None, None);
    let mut seen = HashSet::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(MALFORMED)?;
        let (name, value) = (decoded(name).ok_or(MALFORMED)?, decoded(value).ok_or(MALFORMED)?.into_owned());
        if value.is_empty() || !seen.insert(name.clone().into_owned()) {
            return Err(Refusal::Request("expected each parameter once, with a value"));
        }
        match &*name {
            "action" => action = Some(value),
            "database" => database = Some(value),
            "resource" => resource = Some(value),
            "policy" => policy = Some(value),
            "policy_method" => policy_method = Some(value),
            "policy_id" => policy_id = Some(value),
            "scope" => {
                requirement.scopes.extend(value.split(' ').filter(|one| !one.is_empty()).map(str::to_owned));
                if requirement.scopes.is_empty() {
                    return Err(Refusal::Request("expected a scope"));
                }
            }
            _ => return Err(Refusal::Request("a parameter is not known")),
        }
    }
    requirement.action = match (action, database, resource) {
        (Some(action), database @ Some(_), resource) => Some(RequiredAction { action, database, resource }),
        (Some(action), None, None) => Some(RequiredAction { action, database: None, resource: None }),
        (None, None, None) => None,
        _ => return Err(Refusal::Request("a resource is one of a database, for an action")),
    };
    requirement.policy = match (policy, policy_method, policy_id) {
        (Some(_), Some(method), _) if method.bytes().any(|byte| byte.is_ascii_lowercase()) => {
            return Err(Refusal::Request("expected a policy_method in upper case"));
        }
        (Some(resource), Some(method), id) => Some(RequiredResource { resource, method, id }),
        (None, None, None) => None,
        _ => return Err(Refusal::Request("expected policy and policy_method together")),
    };
    Ok(requirement)
}

fn accepted(service: &Service, identity: Option<&Identity>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.reserve(8);
    if let Err(TooLong) = identity::write(identity, &service.settings().identity_headers, headers) {
        let told = "the actor is too long to be passed on";
        let mut response = Problem::new(StatusCode::FORBIDDEN, "actor-too-long", "Actor too long", told).response();
        empty_identity(service, response.headers_mut());
        return response;
    }
    if identity.is_some_and(|identity| identity.actor.is_token_deprecated()) {
        headers.insert(TOKEN_DEPRECATED, HeaderValue::from_static("true"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Those of nobody, which fit whatever they are called.
fn empty_identity(service: &Service, headers: &mut HeaderMap) {
    for name in service.settings().identity_headers.all() {
        headers.insert(name, HeaderValue::from_static(""));
    }
}

fn refused(service: &Service, refusal: &Refusal, caller: Caller) -> Response<Body> {
    let meant = refusal.status();
    let status = match (meant, caller) {
        (StatusCode::SERVICE_UNAVAILABLE, _) | (StatusCode::TOO_MANY_REQUESTS, Caller::Nginx) => StatusCode::FORBIDDEN,
        (StatusCode::BAD_REQUEST, Caller::Nginx) => StatusCode::UNAUTHORIZED,
        _ => meant,
    };
    let mut response = refusal.response_with(status, service.authenticator()).map(Body::from);
    let headers = response.headers_mut();
    empty_identity(service, headers);
    if status != meant {
        headers.insert(ERROR_STATUS, HeaderValue::from(meant.as_u16()));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_is_read_strictly() {
        let action = Requirement::action("view table", Some("db"), Some("t&u"));
        assert_eq!(named("action=view+table&database=db&resource=t%26u&"), Ok(action));
        let policy = Requirement::resource("review", "GET", Some("42"));
        assert_eq!(named("policy=review&policy_method=GET&policy_id=42"), Ok(policy));
        assert_eq!(named("scope=read+write").unwrap().scopes, ["read", "write"]);
        for bad in [
            "acton=view",
            "action",
            "action=",
            "action=a&action=b",
            "action=a&%61ction=b",
            "database=db",
            "action=%",
            "action=a&resource=t",
            "policy=review",
            "policy_method=GET",
            "policy=review&policy_method=get",
            "scope=%20",
            "scope=+",
            "Action=a",
        ] {
            assert!(matches!(named(bad), Err(Refusal::Request(_))), "{bad}");
        }
    }

    #[test]
    fn callers_are_known_by_the_whole_path() {
        assert_eq!(Caller::of("/auth"), Some(Caller::Forwarded));
        assert_eq!(Caller::of("/auth/nginx"), Some(Caller::Nginx));
        assert_eq!(Caller::of("/auth/envoy/auth/nginx"), Some(Caller::Envoy));
        for other in ["/", "/authx", "/auth/other", "/auth/envoyx", "/Auth", "/api/v1"] {
            assert_eq!(Caller::of(other), None, "{other}");
        }
    }
}
