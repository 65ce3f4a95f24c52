//! `/api/v1/openapi.json`: what there is under `/api/v1`, made from the code (OpenAPI 3.1).

use ::http::{HeaderValue, header};
use axum::{
    Extension,
    body::Bytes,
    response::{IntoResponse, Response},
};
use utoipa::{
    PartialSchema, ToResponse, ToSchema,
    openapi::{
        ComponentsBuilder, Content, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr,
        ResponseBuilder, Schema,
        path::Operation,
        response::Response as Described,
        schema::AdditionalProperties,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

use super::values::{Cursor, PageLimit};
use crate::http::problem::Problem;

/// What is answered wherever something is wrong: a problem document.
pub(super) struct ProblemResponse;

impl ToResponse<'static> for ProblemResponse {
    fn response() -> (&'static str, RefOr<Described>) {
        let problem = Content::new(Some(Ref::from_schema_name(Problem::name())));
        let described = ResponseBuilder::new().description("What is wrong: a problem document (RFC 9457).");
        ("Problem", described.content("application/problem+json", problem).build().into())
    }
}

/// What any request may be answered: malformed, without a good token, without one for this, too slow, one too many, or not
/// to be answered at the moment.
const EVERYWHERE: [&str; 6] = ["400", "401", "403", "408", "429", "503"];

/// The document, as text that is written once.
#[derive(Clone)]
pub(super) struct Document(Bytes);

impl Document {
    /// The document with what all operations have in common.
    pub(super) fn new(mut document: OpenApi) -> Self {
        let bearer = SecurityRequirement::new("bearer", Vec::<String>::new());
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            // The one that says so by an empty list of its own is for everybody.
            if operation.security.is_some() {
                continue;
            }
            operation.security = Some(vec![bearer.clone()]);
            for status in EVERYWHERE {
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert_with(|| Ref::from_response_name("Problem").into());
            }
            let too_long = ResponseBuilder::new().description("The head of the request is longer than it may be.");
            operation.responses.responses.insert("431".to_owned(), too_long.build().into());
        }
        if let Some(components) = &mut document.components {
            for name in CHOICES {
                if let Some(choice) = components.schemas.get_mut(name) {
                    close(choice);
                }
            }
        }
        // Plain data with text for keys: writing it cannot fail.
        let text = serde_json::to_string(&document).unwrap_or_default();
        // Descriptions are comments of the code, whose links lead nowhere from here.
        Self(text.replace("[`", "`").replace("`]", "`").into())
    }
}

/// Choices between objects of one member each, which have no other.
const CHOICES: [&str; 3] = ["NewExpiry", "Selection", "Whose"];

fn close(choice: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(one_of)) = choice else { return };
    for one in &mut one_of.items {
        if let RefOr::T(Schema::Object(object)) = one
            && !object.properties.is_empty()
        {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

/// The document without its paths.
pub(super) fn frame() -> OpenApi {
    let (name, problem) = ProblemResponse::response();
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer);
    let bearer = bearer.description(Some("A token that names the action `admin`.")).build();
    let components = ComponentsBuilder::new()
        .schema(Problem::name(), Problem::schema())
        // What queries have, and no body.
        .schema(Cursor::name(), Cursor::schema())
        .schema(PageLimit::name(), PageLimit::schema())
        .response(name, problem)
        .security_scheme("bearer", SecurityScheme::Http(bearer));
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("token-host")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Manages a token host. Times are Unix seconds."))
        .license(Some(license.build()));
    let tags = [
        ("admin", "Who asks."),
        ("tokens", "Tokens that handlers keep, and how tokens are judged."),
        ("actors", "Whose tokens are rejected, all of them."),
        ("plugins", "What is registered, in which order, and how it fares."),
        ("events", "What happens to tokens."),
    ];
    let tags = tags.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    OpenApiBuilder::new().info(info.build()).components(Some(components.build())).tags(Some(tags)).build()
}

/// This description
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "admin",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
pub(super) async fn document(Extension(Document(text)): Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}
