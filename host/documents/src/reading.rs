use std::sync::LazyLock;

use flyball_model::{Manifest, Policy, Problem};
use jsonschema::Validator;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault::{Faults, Found};
use crate::tree::{Place, token};
use crate::yaml::{self, Parsed};
use crate::{Source, policy_check, schema, wording};

static POLICY: LazyLock<Option<Validator>> =
    LazyLock::new(|| jsonschema::validator_for(schema::policy()).ok());
static MANIFEST: LazyLock<Option<Validator>> =
    LazyLock::new(|| jsonschema::validator_for(schema::manifest()).ok());

/// Reads a policy.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_policy(source: &Source) -> Result<Policy, Faults> {
    read(source, schema::policy(), POLICY.as_ref(), policy_check::problems)
}

/// Reads a manifest. Whether its graph is sound is for the pipeline to say; [`locate`] finds the lines for that.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_manifest(source: &Source) -> Result<Manifest, Faults> {
    read(source, schema::manifest(), MANIFEST.as_ref(), |_| Vec::new())
}

/// Reads a document of another type, by the schema that is derived from it.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_as<T: DeserializeOwned + JsonSchema>(source: &Source, title: &str) -> Result<T, Faults> {
    let schema = schema::of::<T>(title);
    let validator = jsonschema::validator_for(&schema).ok();
    read(source, &schema, validator.as_ref(), |_| Vec::new())
}

/// Finds the lines of problems that were found elsewhere. A pointer that leads nowhere shows the innermost part on
/// the way to it; a document that is not YAML shows its beginning.
pub fn locate(source: &Source, problems: Vec<Problem>) -> Faults {
    let place = yaml::parse(&source.text).map(|parsed| parsed.place).unwrap_or_default();
    Faults::new(source, problems.into_iter().map(|problem| at_value(&place, problem)).collect())
}

/// What a check of a document says, and of what.
pub(crate) enum Said {
    /// Of a value.
    Value(Problem),
    /// Of the key that names it.
    Key(Problem),
}

fn read<T: DeserializeOwned>(
    source: &Source,
    schema: &Value,
    validator: Option<&Validator>,
    check: impl Fn(&Value) -> Vec<Problem>,
) -> Result<T, Faults> {
    let Parsed { value, place, mut found } =
        yaml::parse(&source.text).map_err(|fault| Faults::new(source, vec![fault]))?;
    let by_schema =
        validator.map(|validator| wording::problems(schema, validator, &value)).unwrap_or_default();
    found.extend(by_schema.into_iter().map(|said| match said {
        Said::Value(problem) => at_value(&place, problem),
        Said::Key(problem) => at_key(&place, problem),
    }));
    found.extend(check(&value).into_iter().map(|problem| at_value(&place, problem)));
    if !found.is_empty() {
        return Err(Faults::new(source, found));
    }
    typed(&value).map_err(|problem| Faults::new(source, vec![at_value(&place, problem)]))
}

/// What the schema let pass and the type does not, such as `1000.0` where a whole number is wanted.
fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            use serde_path_to_error::Segment;
            match segment {
                Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                Segment::Map { key } => pointer.push_str(&format!("/{}", token(key))),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        match value.pointer(&pointer) {
            Some(number) if number.is_f64() => wording::not_whole(&pointer, number),
            _ => Problem::new(pointer, error.into_inner().to_string()),
        }
    })
}

fn at_value(place: &Place, Problem { pointer, message, help }: Problem) -> Found {
    Found { span: place.nearest(&pointer).0.shown(), message, help }
}

fn at_key(place: &Place, Problem { pointer, message, help }: Problem) -> Found {
    let place = place.nearest(&pointer).0;
    Found { span: place.key.clone().unwrap_or_else(|| place.shown()), message, help }
}
