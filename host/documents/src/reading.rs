use std::sync::LazyLock;

use flyball_model::{Manifest, Policy, Problem};
use jsonschema::Validator;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault::{DocumentFaults, Found};
use crate::tree::{Place, token};
use crate::yaml::{self, Parsed};
use crate::{DocumentText, hidden, policy_check, schema, wording};

static POLICY: LazyLock<Option<Validator>> =
    LazyLock::new(|| jsonschema::validator_for(schema::policy()).ok());
static MANIFEST: LazyLock<Option<Validator>> =
    LazyLock::new(|| jsonschema::validator_for(schema::manifest()).ok());

/// Reads a policy.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_policy(source: &DocumentText) -> Result<Policy, DocumentFaults> {
    read(source, schema::policy(), POLICY.as_ref(), policy_check::problems)
}

/// Reads a manifest. Whether its graph is sound is for the pipeline to say; [`locate`] finds the lines for that.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_manifest(source: &DocumentText) -> Result<Manifest, DocumentFaults> {
    read(source, schema::manifest(), MANIFEST.as_ref(), |_| Vec::new())
}

/// Reads a document of another type, by the schema that is derived from it.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_as<T: DeserializeOwned + JsonSchema>(
    source: &DocumentText,
    title: &str,
) -> Result<T, DocumentFaults> {
    let schema = schema::of::<T>(title);
    let validator = jsonschema::validator_for(&schema).ok();
    read(source, &schema, validator.as_ref(), |_| Vec::new())
}

/// Finds the lines of problems that were found elsewhere. A pointer that leads nowhere shows the innermost part on
/// the way to it; a document that is not YAML shows its beginning.
pub fn locate(source: &DocumentText, problems: Vec<Problem>) -> DocumentFaults {
    let place = yaml::parse(&source.text).map(|parsed| parsed.place).unwrap_or_default();
    DocumentFaults::new(source, problems.into_iter().map(|problem| placed(&place, problem)).collect())
}

/// What a value's own schema says of it, in the words that faults of documents have: whoever has another schema than a
/// document's, such as a plugin of its settings, is told the nearest key and the range too.
pub fn schema_problems(schema: &Value, validator: &Validator, value: &Value) -> Vec<Problem> {
    wording::problems(schema, validator, value, &|_| None)
}

/// Whether a document is a policy: it names judges. What is no mapping, or no YAML, is not.
pub fn is_policy(source: &DocumentText) -> bool {
    has_key(source, "judges")
}

/// Whether a document is a manifest: it names nodes.
pub fn is_manifest(source: &DocumentText) -> bool {
    has_key(source, "nodes")
}

fn has_key(source: &DocumentText, key: &str) -> bool {
    // A document that is not whole YAML still shows by its lines what it was to be.
    match yaml::parse(&source.text) {
        Ok(parsed) => parsed.value.get(key).is_some(),
        Err(_) => {
            source.text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
        }
    }
}

fn read<T: DeserializeOwned>(
    source: &DocumentText,
    schema: &Value,
    validator: Option<&Validator>,
    check: impl Fn(&Value) -> Vec<Problem>,
) -> Result<T, DocumentFaults> {
    let Parsed { value, place, mut found } =
        yaml::parse(&source.text).map_err(|fault| DocumentFaults::new(source, vec![fault]))?;
    let written = |pointer: &str| match place.nearest(pointer) {
        (place, true) => source.text.get(place.value.clone()),
        _ => None,
    };
    let by_schema =
        validator.map(|validator| wording::problems(schema, validator, &value, &written)).unwrap_or_default();
    let told = by_schema.into_iter().chain(check(&value)).chain(hidden::problems(&value));
    found.extend(told.map(|problem| placed(&place, problem)));
    if !found.is_empty() {
        return Err(DocumentFaults::new(source, found));
    }
    typed(&value).map_err(|problem| DocumentFaults::new(source, vec![placed(&place, problem)]))
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

fn placed(place: &Place, Problem { pointer, message, help, code, of_key }: Problem) -> Found {
    let place = place.nearest(&pointer).0;
    let span = place.key.clone().filter(|_| of_key).unwrap_or_else(|| place.shown());
    Found { span, message, help, code }
}
