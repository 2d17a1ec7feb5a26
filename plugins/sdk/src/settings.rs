//! A plugin's settings: declared once, they give the struct, its JSON Schema, the loader and the check.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use serde_json::{Map, Value as Json, json};

use crate::bindings::settings::Value;

/// What is wrong with the settings, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON Pointer (RFC 6901).
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Fault {
    /// The same, of something that lies at `path` in a whole.
    #[must_use]
    pub fn below(self, path: &str) -> Self {
        Self { path: format!("{path}{}", self.path), message: self.message }
    }
}

/// The settings of a plugin. [`settings!`](crate::settings) writes this; a plugin whose settings are nested does it itself.
pub trait Settings: Sized {
    /// JSON Schema (2020-12) of an object.
    fn schema() -> Json;
    /// As the policy gives them, by [`setting`]; a default for each that it does not give.
    fn load() -> Self;
    /// What is wrong with them; `given` is an object.
    fn check(given: &Map<String, Json>, faults: &mut Vec<Fault>);
}

/// One setting as the policy gives it, by JSON Pointer without its leading slash. None: not given.
pub fn setting(path: &str) -> Option<Value> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::settings::get(path);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::given(path)
}

/// What is wrong with the settings that are given now.
pub fn check_given<S: Settings>() -> Vec<Fault> {
    let mut faults = Vec::new();
    let whole = match setting("") {
        None => Ok(Json::Object(Map::new())),
        Some(Value::Other(text)) => serde_json::from_str(&text),
        Some(_) => Ok(Json::Null),
    };
    match whole {
        Ok(Json::Object(given)) => S::check(&given, &mut faults),
        Ok(_) => {
            faults.push(Fault { path: String::new(), message: "the settings are not an object".to_owned() })
        }
        Err(error) => {
            faults.push(Fault { path: String::new(), message: format!("the settings are not JSON: {error}") })
        }
    }
    faults
}

/// A fault for each key that is not among `known`.
pub fn refuse_unknown(given: &Map<String, Json>, known: &[&str], faults: &mut Vec<Fault>) {
    for key in given.keys().filter(|key| !known.contains(&key.as_str())) {
        let message = match known {
            [] => format!("`{key}` is unknown: this plugin has no settings"),
            _ => format!("`{key}` is unknown; the settings are {}", known.join(", ")),
        };
        faults.push(Fault { path: format!("/{}", key.replace('~', "~0").replace('/', "~1")), message });
    }
}

/// A type that a setting may have.
pub trait Setting: Sized {
    /// Its JSON Schema.
    fn schema() -> Json;
    /// From the host's value; none: it is of another type.
    fn from_value(value: Value) -> Option<Self>;
    /// For the schema.
    fn to_json(&self) -> Json;
    /// Whether this is such a value; what was expected if not.
    fn accepts(given: &Json) -> Result<(), &'static str>;
}

impl Setting for bool {
    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Boolean(value) = value { Some(value) } else { None }
    }
    fn to_json(&self) -> Json {
        Json::Bool(*self)
    }
    fn accepts(given: &Json) -> Result<(), &'static str> {
        given.is_boolean().then_some(()).ok_or("true or false")
    }
}

impl Setting for f64 {
    fn schema() -> Json {
        json!({ "type": "number" })
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Number(value) = value { Some(value) } else { None }
    }
    fn to_json(&self) -> Json {
        json!(self)
    }
    fn accepts(given: &Json) -> Result<(), &'static str> {
        given.is_number().then_some(()).ok_or("a number")
    }
}

impl Setting for u32 {
    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }
    fn from_value(value: Value) -> Option<Self> {
        let number = f64::from_value(value)?;
        // A whole number in range converts exactly; anything else was refused when the settings were checked.
        (number >= 0.0 && number <= Self::MAX.into()).then_some(number as Self)
    }
    fn to_json(&self) -> Json {
        json!(self)
    }
    fn accepts(given: &Json) -> Result<(), &'static str> {
        let whole = given.as_f64().is_some_and(|number| number >= 0.0 && f64::from(number as u32) == number);
        whole.then_some(()).ok_or("a whole number")
    }
}

impl Setting for String {
    fn schema() -> Json {
        json!({ "type": "string" })
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(value) = value { Some(value) } else { None }
    }
    fn to_json(&self) -> Json {
        Json::String(self.clone())
    }
    fn accepts(given: &Json) -> Result<(), &'static str> {
        given.is_string().then_some(()).ok_or("text")
    }
}

impl Setting for Vec<String> {
    fn schema() -> Json {
        json!({ "type": "array", "items": { "type": "string" } })
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Texts(value) => Some(value),
            // A host may not tell an empty list of texts from any other empty list.
            Value::Other(text) => serde_json::from_str::<Vec<String>>(&text).ok(),
            _ => None,
        }
    }
    fn to_json(&self) -> Json {
        json!(self)
    }
    fn accepts(given: &Json) -> Result<(), &'static str> {
        let texts = given.as_array().is_some_and(|items| items.iter().all(Json::is_string));
        texts.then_some(()).ok_or("a list of texts")
    }
}

/// A setting that may be left out: then it is not in force.
impl<T: Setting> Setting for Option<T> {
    fn schema() -> Json {
        T::schema()
    }
    fn from_value(value: Value) -> Option<Self> {
        T::from_value(value).map(Some)
    }
    fn to_json(&self) -> Json {
        self.as_ref().map_or(Json::Null, T::to_json)
    }
    fn accepts(given: &Json) -> Result<(), &'static str> {
        T::accepts(given)
    }
}

#[doc(hidden)]
pub mod made {
    //! What [`settings!`](crate::settings) expands to.

    use super::*;

    pub use alloc::string::String;
    pub use alloc::vec::Vec;
    pub use serde_json::{Map, Value as Json, json};

    pub fn load<T: Setting>(key: &str, default: impl FnOnce() -> T) -> T {
        setting(key).and_then(T::from_value).unwrap_or_else(default)
    }

    pub fn range<T: Into<f64> + Copy>(range: RangeInclusive<T>) -> (f64, f64) {
        ((*range.start()).into(), (*range.end()).into())
    }

    pub fn describe<T: Setting>(
        properties: &mut Map<String, Json>,
        key: &str,
        doc: &str,
        default: &T,
        range: Option<(f64, f64)>,
    ) {
        let mut schema = T::schema();
        if let Json::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), Json::String(doc.trim().to_owned()));
            let default = default.to_json();
            if !default.is_null() {
                schema.insert("default".to_owned(), default);
            }
            if let Some((least, most)) = range {
                schema.insert("minimum".to_owned(), json!(least));
                schema.insert("maximum".to_owned(), json!(most));
            }
        }
        properties.insert(key.to_owned(), schema);
    }

    pub fn check<T: Setting>(
        given: &Map<String, Json>,
        key: &str,
        range: Option<(f64, f64)>,
        faults: &mut Vec<Fault>,
    ) {
        let Some(value) = given.get(key).filter(|value| !value.is_null()) else { return };
        let mut fault = |message| faults.push(Fault { path: format!("/{key}"), message });
        if let Err(expected) = T::accepts(value) {
            return fault(format!("{value} is not {expected}"));
        }
        if let (Some((least, most)), Some(number)) = (range, value.as_f64())
            && !(least..=most).contains(&number)
        {
            fault(format!("{number} is not between {least} and {most}"));
        }
    }
}

/// Declares a plugin's settings and makes the struct that holds them: every field with its meaning, its default and,
/// for a number, the range it must lie in.
///
/// ```
/// flyball_plugin::settings! {
///     /// When a queue is too full.
///     pub struct QueueWatch {
///         /// Part of a queue that may be taken.
///         fill: f64 = 0.8, in 0.0..=1.0;
///         /// Nodes that may be full.
///         except: Vec<String> = Vec::new();
///     }
/// }
/// let watch = QueueWatch { fill: 0.5, ..QueueWatch::default() };
/// assert!(watch.except.is_empty());
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:expr])* $field:ident : $type:ty = $default:expr $(, in $range:expr)?;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::Settings for $name {
            fn schema() -> $crate::settings::made::Json {
                #[allow(unused_mut, reason = "a plugin may have no settings")]
                let mut properties = $crate::settings::made::Map::new();
                $($crate::settings::made::describe::<$type>(
                    &mut properties,
                    stringify!($field),
                    concat!($($doc,)*),
                    &$default,
                    $crate::__range!($($range)?),
                );)*
                $crate::settings::made::json!({
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "type": "object",
                    "properties": properties,
                    "additionalProperties": false,
                })
            }

            fn load() -> Self {
                Self { $($field: $crate::settings::made::load(stringify!($field), || $default),)* }
            }

            fn check(
                given: &$crate::settings::made::Map<$crate::settings::made::String, $crate::settings::made::Json>,
                faults: &mut $crate::settings::made::Vec<$crate::settings::Fault>,
            ) {
                $crate::settings::refuse_unknown(given, &[$(stringify!($field)),*], faults);
                $($crate::settings::made::check::<$type>(
                    given, stringify!($field), $crate::__range!($($range)?), faults,
                );)*
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __range {
    () => {
        None
    };
    ($range:expr) => {
        Some($crate::settings::made::range($range))
    };
}
