//! Strict JSON (RFC 8259, I-JSON's rules of RFC 7493): no member twice in any spelling, no half surrogates, bounded depth.
//!
//! serde_json reads the grammar; what it lets pass is refused here.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep objects and arrays may nest, the outermost counted. Registered claims need three.
const MAX_DEPTH: usize = 32;

/// Why a text is refused that is JSON. serde's errors carry text of their own, in which a token might be quoted.
#[derive(Debug, Default)]
pub(crate) struct Fault(Cell<Option<&'static str>>);

impl Fault {
    /// The fault; where none was noted, that it is no JSON object at all.
    pub(crate) fn why(&self) -> &'static str {
        self.0.get().unwrap_or("is not a JSON object")
    }

    fn refuse<E: Error>(&self, why: &'static str) -> E {
        self.0.set(Some(why));
        E::custom(why)
    }
}

/// Reads the members of an object that it knows.
pub(crate) trait ObjectReader<'de> {
    type Output;

    /// Takes a member, or passes it on to [`Member::skip`] when its name is not known.
    fn member<M: MapAccess<'de>>(&mut self, name: &str, member: Member<'_, '_, M>) -> Result<Taken, M::Error>;

    fn finish(self) -> Self::Output;
}

/// What became of a member.
pub(crate) enum Taken {
    Once,
    Twice,
    /// Its name is not known.
    Skipped,
}

impl Taken {
    /// Of a member that takes the place of what was there before, if anything was.
    pub(crate) fn replacing<T>(before: Option<T>) -> Self {
        if before.is_some() { Self::Twice } else { Self::Once }
    }
}

/// A value that is about to be read.
pub(crate) struct Member<'a, 'f, M> {
    map: &'a mut M,
    fault: &'f Fault,
}

impl<'de, M: MapAccess<'de>> Member<'_, '_, M> {
    /// Reads the value.
    pub(crate) fn value(self) -> Result<Value<'de>, M::Error> {
        self.map.next_value_seed(ValueSeed { fault: self.fault, depth: 2 })
    }

    /// Reads the value and forgets it.
    pub(crate) fn skip(self) -> Result<Taken, M::Error> {
        self.value().map(|_| Taken::Skipped)
    }

    /// Takes the value as the text it is, unread but for its grammar.
    pub(crate) fn raw(self) -> Result<&'de serde_json::value::RawValue, M::Error> {
        self.map.next_value()
    }
}

struct Object<'f, R> {
    fault: &'f Fault,
    reader: R,
}

impl<'de, R: ObjectReader<'de>> Visitor<'de> for Object<'_, R> {
    type Value = R::Output;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<R::Output, A::Error> {
        let mut others = Names::default();
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match self.reader.member(&name, Member { map: &mut map, fault: self.fault })? {
                Taken::Once => {}
                Taken::Twice => return Err(self.fault.refuse(TWICE)),
                Taken::Skipped => others.add(name),
            }
        }
        others.check(self.fault)?;
        Ok(self.reader.finish())
    }
}

/// serde_json takes an object with such a member for a number, or for JSON within a text: what whoever reads the claims
/// after us would see is not what is here.
pub(crate) const RESERVED: &str = "$serde_json::";

const TWICE: &str = "has a member twice";

/// Names of members, without their escapes.
#[derive(Default)]
struct Names<'a>(Vec<Cow<'a, str>>);

impl<'a> Names<'a> {
    fn add(&mut self, name: Cow<'a, str>) {
        self.0.push(name);
    }

    fn check<E: Error>(mut self, fault: &Fault) -> Result<(), E> {
        self.0.sort_unstable();
        if self.0.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(fault.refuse(TWICE));
        }
        if self.0.iter().any(|name| name.starts_with(RESERVED)) {
            return Err(fault.refuse("has a member whose name others read as something else"));
        }
        Ok(())
    }
}

struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// A value, as far as one of ours may be of interest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Integer(u64),
    Float(f64),
    Bool(bool),
    /// A list of nothing but texts.
    Texts(Vec<Cow<'a, str>>),
    /// `null`, a negative integer, an object, any other list.
    Other,
}

/// Reads a value to its end whatever it is: so half a surrogate pair is found in strings that nobody asks for.
struct ValueSeed<'f> {
    fault: &'f Fault,
    depth: usize,
}

impl ValueSeed<'_> {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        if self.depth > MAX_DEPTH {
            return Err(self.fault.refuse("is nested too deeply"));
        }
        Ok(Self { fault: self.fault, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(number))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut texts = Some(Vec::new());
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            match (item, &mut texts) {
                (Value::Text(text), Some(texts)) => texts.push(text),
                _ => texts = None,
            }
        }
        // A list that is itself too deep, though nothing is in it.
        self.deeper::<A::Error>()?;
        Ok(texts.map_or(Value::Other, Value::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper::<A::Error>()?;
        let mut names = Names::default();
        while let Some(name) = members.next_key_seed(NameSeed)? {
            names.add(name);
            members.next_value_seed(ValueSeed { fault: inner.fault, depth: inner.depth })?;
        }
        names.check(self.fault)?;
        Ok(Value::Other)
    }
}

/// Reads a whole text, of which nothing may be left over.
///
/// # Errors
///
/// What is wrong with it, to follow its name, as in "header is not JSON".
pub(crate) fn read<'de, R: ObjectReader<'de>>(json: &'de str, reader: R) -> Result<R::Output, &'static str> {
    let fault = Fault::default();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = deserializer.deserialize_map(Object { fault: &fault, reader });
    match read.and_then(|read| deserializer.end().map(|()| read)) {
        Ok(read) => Ok(read),
        Err(error) if error.classify() == serde_json::error::Category::Data => Err(fault.why()),
        Err(_) => Err("is not JSON"),
    }
}

/// Whether a value holds nothing that is refused: for values that were taken as raw text.
pub(crate) fn is_strict(json: &str) -> bool {
    let fault = Fault::default();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    ValueSeed { fault: &fault, depth: 2 }.deserialize(&mut deserializer).is_ok() && deserializer.end().is_ok()
}
