//! A number that may be missing is NaN in a column and `null` in JSON, which has no NaN. Formats that are for machines
//! carry it bit for bit.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        value.is_finite().then_some(*value).serialize(serializer)
    } else {
        serializer.serialize_f64(*value)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    if deserializer.is_human_readable() {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    } else {
        f64::deserialize(deserializer)
    }
}

pub(crate) mod column {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(values.iter().map(|value| value.is_finite().then_some(*value)))
        } else {
            values.serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        if deserializer.is_human_readable() {
            let values = Vec::<Option<f64>>::deserialize(deserializer)?;
            Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
        } else {
            Vec::deserialize(deserializer)
        }
    }
}
