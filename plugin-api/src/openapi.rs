//! Schemas (OpenAPI 3.1) of the types that are written by hand: [`Actor`] and [`TokenRestrictions`].

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Array, KnownFormat, Object, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type,
        schema::{AdditionalProperties, ArrayItems},
    },
};

use crate::{Actor, TokenRestrictions};

type Schemas = Vec<(String, RefOr<Schema>)>;

impl PartialSchema for Actor {
    fn schema() -> RefOr<Schema> {
        let seconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0_u8))
            .description(Some("When the token expires, in Unix seconds; not there: never."));
        ObjectBuilder::new()
            .property("id", text("Who."))
            .required("id")
            .property("token", text("The kind of token."))
            .required("token")
            .property("_r", Ref::from_schema_name(TokenRestrictions::name()))
            .property("token_expires", seconds)
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .description(Some(
                "Whom a token stands for, in the form of Datasette's actor; other members are its claims.",
            ))
            .into()
    }
}

impl ToSchema for Actor {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Actor")
    }

    fn schemas(schemas: &mut Schemas) {
        schemas.push((TokenRestrictions::name().into_owned(), TokenRestrictions::schema()));
    }
}

impl PartialSchema for TokenRestrictions {
    fn schema() -> RefOr<Schema> {
        let databases = by_name(actions());
        ObjectBuilder::new()
            .property("a", described(actions(), "Actions that are allowed everywhere."))
            .property("d", ObjectBuilder::from(databases.clone()).description(Some("Of each database.")))
            .property("r", ObjectBuilder::from(by_name(databases)).description(Some("Of each resource of a database.")))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .description(Some("What a token may do, in Datasette's form; an empty object is nothing at all."))
            .into()
    }
}

impl ToSchema for TokenRestrictions {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("TokenRestrictions")
    }
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn actions() -> Array {
    let mut list = Array::default();
    list.items = ArrayItems::RefOrSchema(Box::new(Object::with_type(Type::String).into()));
    list
}

fn described(mut list: Array, description: &str) -> Array {
    list.description = Some(description.to_owned());
    list
}

fn by_name(of: impl Into<RefOr<Schema>>) -> Object {
    ObjectBuilder::new().additional_properties(Some(AdditionalProperties::RefOr(of.into()))).build()
}
