//! How large a component becomes when the components within it are put into the places where they are instantiated.
//!
//! The compiler does this before it knows how large the result is, and a component that instantiates another twice, which
//! instantiates another twice, and so on for thirty levels, is a few hundred bytes and a thousand million instances. So the
//! instances and functions that would come of it are added up first. A component that is composed of several plugins'
//! worth of others needs some hundreds.
//!
//! [`crate::census`] hands over each part of a component as it validates it.

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Payload,
};

/// Instances and functions between components, in all.
pub(crate) const MOST: u64 = 2_000;

/// Why a composition is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It becomes too large.
    Large,
    /// It instantiates a component that is only known once it is instantiated itself.
    Unknown,
}

/// A component or module whose end was not reached yet.
#[derive(Debug, Default)]
struct Open {
    /// What becomes of it by itself, with all within.
    size: u64,
    /// By index, how large each component becomes that it can name. None: it is given when this one is instantiated.
    known: Vec<Option<u64>>,
}

/// Follows the payloads of a component, which have been validated.
#[derive(Debug, Default)]
pub(crate) struct Composition {
    open: Vec<Option<Open>>,
}

impl Composition {
    /// Counts what a payload adds.
    pub(crate) fn add(&mut self, payload: &Payload<'_>) -> Result<(), Refused> {
        match payload {
            Payload::Version { encoding: Encoding::Component, .. } => {
                self.open.push(Some(Open::default()));
                return Ok(());
            }
            // A module names no components.
            Payload::Version { encoding: Encoding::Module, .. } => {
                self.open.push(None);
                return Ok(());
            }
            Payload::End(_) => {
                let ended = self.open.pop().flatten();
                if let (Some(ended), Some(around)) = (ended, self.innermost()) {
                    around.known.push(Some(ended.size));
                }
                return Ok(());
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    let Ok(alias) = alias else { break };
                    let known = self.aliased(&alias);
                    if let (Some(known), Some(open)) = (known, self.innermost()) {
                        open.known.push(known);
                    }
                }
                return Ok(());
            }
            _ => {}
        }
        match self.innermost() {
            Some(open) => open.add(payload),
            None => Ok(()),
        }
    }

    fn innermost(&mut self) -> Option<&mut Open> {
        self.open.last_mut()?.as_mut()
    }

    /// Of an alias that names a component: how large that becomes.
    fn aliased(&self, alias: &ComponentAlias<'_>) -> Option<Option<u64>> {
        match alias {
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let outward = usize::try_from(*count).ok()?.checked_add(1)?;
                let around = self.open.len().checked_sub(outward).and_then(|at| self.open.get(at));
                Some(around.and_then(Option::as_ref).and_then(|open| open.size_of(*index)))
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => Some(None),
            _ => None,
        }
    }
}

impl Open {
    fn size_of(&self, index: u32) -> Option<u64> {
        usize::try_from(index).ok().and_then(|index| self.known.get(index)).copied().flatten()
    }

    fn add(&mut self, payload: &Payload<'_>) -> Result<(), Refused> {
        match payload {
            Payload::InstanceSection(instances) => self.grow(u64::from(instances.count()))?,
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone().into_iter().flatten() {
                    let within = match instance {
                        ComponentInstance::Instantiate { component_index, .. } => {
                            self.size_of(component_index).ok_or(Refused::Unknown)?
                        }
                        ComponentInstance::FromExports(_) => 0,
                    };
                    self.grow(within.saturating_add(1))?;
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                let between = |function: &CanonicalFunction| {
                    matches!(function, CanonicalFunction::Lift { .. } | CanonicalFunction::Lower { .. })
                };
                let count = functions.clone().into_iter().flatten().filter(between).count();
                self.grow(u64::try_from(count).unwrap_or(u64::MAX))?;
            }
            Payload::ComponentImportSection(imports) => {
                let given = imports.clone().into_iter().flatten();
                let given = given.filter(|import| matches!(import.ty, ComponentTypeRef::Component(_)));
                self.known.extend(given.map(|_| None));
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone().into_iter().flatten() {
                    if export.kind == ComponentExternalKind::Component {
                        self.known.push(self.size_of(export.index));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn grow(&mut self, by: u64) -> Result<(), Refused> {
        self.size = self.size.saturating_add(by);
        if self.size > MOST { Err(Refused::Large) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use wasmparser::Parser;

    use super::*;

    fn counted(text: &str) -> Result<(), Refused> {
        let bytes = wat::parse_str(text).unwrap();
        let mut composition = Composition::default();
        Parser::new(0).parse_all(&bytes).try_for_each(|payload| composition.add(&payload.unwrap()))
    }

    /// Each level instantiates the one within it twice.
    fn doubling(levels: u32) -> String {
        let instances = "(instance (instantiate $c)) (instance (instantiate $c))";
        let mut text = "(component $c (core module $m) (core instance (instantiate $m)))".to_owned();
        for _ in 0..levels {
            text = format!("(component $c {text} {instances})");
        }
        text
    }

    #[test]
    fn what_doubles_thirty_times_is_refused_and_what_doubles_three_times_is_not() {
        assert_eq!(counted(&doubling(3)), Ok(()));
        assert_eq!(counted(&doubling(30)), Err(Refused::Large));
    }

    #[test]
    fn a_component_by_another_name_counts_as_much() {
        let nested = doubling(9).replacen("(component $c", "(component $big", 1);
        let outer = format!(
            "(component $root {nested} (component (alias outer $root $big (component $b)) (instance (instantiate $b)) (instance (instantiate $b))))"
        );
        assert_eq!(counted(&outer), Err(Refused::Large));
        let exported = format!(
            "(component {nested} (export $e \"e\" (component $big)) (instance (instantiate $e)) (instance (instantiate $e)))"
        );
        assert_eq!(counted(&exported), Err(Refused::Large));
    }

    #[test]
    fn a_component_that_is_given_cannot_be_counted() {
        let text = "(component (import \"c\" (component $c)) (instance (instantiate $c)))";
        assert_eq!(counted(text), Err(Refused::Unknown));
    }
}
