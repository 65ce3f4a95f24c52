//! [`read`]: bodies of JSON, one object each, as strict as forms are.

use std::{fmt, marker::PhantomData};

use http::{Method, Request};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::oauth2::{Problem, is_of_type};

/// Reads a body; `expected` says what was.
pub(super) fn read<T: DeserializeOwned>(
    request: &Request<Vec<u8>>,
    max_bytes: usize,
    expected: &'static str,
) -> Result<T, Problem> {
    if request.method() != Method::POST {
        return Err(Problem::Method);
    }
    if request.body().len() > max_bytes {
        return Err(Problem::TooLarge);
    }
    if !is_of_type(request.headers(), "application/json") {
        return Err(Problem::Request("expected the content type application/json"));
    }
    // The error is not told: it would quote what is in there.
    let read: Result<Object<T>, _> = serde_json::from_slice(request.body());
    read.map(|object| object.0).map_err(|_| Problem::Request(expected))
}

/// An object and nothing else: a derived struct would also be read from a list.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Object)
    }
}
