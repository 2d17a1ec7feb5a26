//! What every plugin exports: what it is, and whether its settings are right.

use alloc::string::ToString;
use alloc::vec::Vec;

use bindings::exports::flyball::plugin::lifecycle::{self, Description, Guest};

use crate::{About, Settings};

crate::world::world!(
    "package flyball:sdk; world sdk-lifecycle { export flyball:plugin/lifecycle@0.1.0; }",
    "sdk-lifecycle",
    "__export_lifecycle",
    []
);

impl<P: About + Settings + 'static> Guest for Exported<P> {
    fn describe() -> Description {
        crate::begin();
        Description {
            name: P::NAME.into(),
            version: P::VERSION.into(),
            summary: P::SUMMARY.into(),
            settings_schema: P::schema().to_string(),
            wants: P::WANTS
                .iter()
                .map(|(grant, why)| lifecycle::Want { grant: (*grant).into(), why: (*why).into() })
                .collect(),
        }
    }

    fn check_settings() -> Result<(), Vec<lifecycle::Fault>> {
        crate::begin();
        let faults = crate::settings::check_given::<P>();
        if faults.is_empty() {
            return Ok(());
        }
        Err(faults
            .into_iter()
            .map(|fault| lifecycle::Fault { path: fault.path, message: fault.message })
            .collect())
    }
}
