//! From and to what `serde_json` reads and writes. As text an item keeps its digits; as a `serde_json::Value` it is what
//! that can hold.

use alloc::boxed::Box;
use alloc::string::ToString as _;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{ItemLimits, Json, Object};

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.into()),
            Value::String(text) => text.as_str().into(),
            Value::Array(list) => Self::List(list.iter().map(Self::from).collect()),
            Value::Object(map) => {
                let fields = map.iter().map(|(name, value)| (name.as_str(), Self::from(value)));
                Self::Object(fields.collect::<Object>())
            }
        }
    }
}

impl PartialEq<Value> for Json {
    fn eq(&self, other: &Value) -> bool {
        let theirs = Self::from(other);
        *self == theirs
    }
}

impl Serialize for Json {
    /// For `serde_json` only: other formats have no way to say a number's digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    /// For `serde_json` only, within the largest limits that can be configured.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::read(raw.get().as_bytes(), &ItemLimits::LARGEST).map_err(D::Error::custom)
    }
}
