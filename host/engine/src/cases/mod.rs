//! A plugin's golden cases: what it is told, and what it must say. They travel in the component, in custom sections, so
//! that they are part of its digest and signature; a version that fails one of its own does not serve.

mod case;
mod run;
mod seen;

use wasmparser::{Parser, Payload};

use crate::LoadError;

pub(crate) use case::Case;
pub(crate) use run::run;

/// The custom sections of the component, or of a module in it, that hold cases: JSON objects one after the other.
const SECTION: &str = "flyball:cases";

const MOST_BYTES: usize = 4 << 20;
const MOST_CASES: usize = 500;

/// The cases that a component brings.
pub(crate) fn found_in(component: &[u8]) -> Result<Vec<Case>, LoadError> {
    let mut cases = Vec::new();
    let mut bytes = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| LoadError::Invalid { why: error.to_string() })?;
        let Payload::CustomSection(section) = payload else { continue };
        if section.name() != SECTION {
            continue;
        }
        bytes = bytes.saturating_add(section.data().len());
        if bytes > MOST_BYTES {
            return Err(wrong(format!("they have more than {} MiB", MOST_BYTES >> 20)));
        }
        for case in serde_json::Deserializer::from_slice(section.data()).into_iter::<Case>() {
            cases.push(case.map_err(|error| wrong(format!("case {}: {error}", cases.len() + 1)))?);
            if cases.len() > MOST_CASES {
                return Err(wrong(format!("there are more than {MOST_CASES}")));
            }
        }
    }
    Ok(cases)
}

fn wrong(why: String) -> LoadError {
    LoadError::Cases { why: crate::logging::plain(&why, 500) }
}
