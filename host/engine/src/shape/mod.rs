//! How a component's interfaces differ from the contract's, said in the contract's own words. The linker knows only that
//! something does not fit; this reads both worlds and compares them. It is asked only when something does not fit, so
//! that a good plugin does not pay for it.

mod compare;
mod written;

use std::collections::BTreeSet;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{InterfaceId, Resolve, SourceMap, WorldId, WorldItem};

pub(crate) use written::tame;

use crate::boundary;
use crate::contract::VERSION;

/// Every version of the contract that this host knows, the oldest first, each with its files.
const KNOWN: [(&str, &[&str]); 1] = [(VERSION, V0_1_0)];

/// Each file of `wit/`.
const V0_1_0: &[&str] = include!(concat!(env!("OUT_DIR"), "/contract.rs"));

/// More differences than this are counted only.
const MOST: usize = 6;

/// What differs, one sentence each; none if nothing does, or if the component cannot be read so.
pub(crate) fn differences(bytes: &[u8]) -> Vec<String> {
    // The component is hostile and its reader was written for tools.
    boundary::contained(|| found_in(bytes).unwrap_or_default()).unwrap_or_default()
}

fn found_in(bytes: &[u8]) -> Option<Vec<String>> {
    let DecodedWasm::Component(theirs, world) = decode(bytes).ok()? else { return None };
    let contracts: Vec<Contract> = KNOWN.iter().filter_map(Contract::parse).collect();
    let mut found = BTreeSet::new();
    for (exported, interface) in interfaces(&theirs, world) {
        look_at(&theirs, interface, exported, &contracts, &mut found);
    }
    let more = found.len().saturating_sub(MOST);
    let mut told: Vec<String> = found.into_iter().take(MOST).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    Some(told)
}

fn look_at(
    theirs: &Resolve,
    interface: InterfaceId,
    exported: bool,
    contracts: &[Contract],
    found: &mut BTreeSet<String>,
) -> Option<()> {
    let here = theirs.interfaces.get(interface)?;
    let package = &theirs.packages.get(here.package?)?.name;
    if package.namespace != "flyball" || package.name != "plugin" {
        return None;
    }
    let name = here.name.as_deref()?;
    let version = package.version.as_ref().map(ToString::to_string).unwrap_or_default();
    let shown = format!("flyball:plugin/{name}@{}", written::tame(&version));
    let serving = contracts.last()?;
    let Some(ours) = serving.interface(name) else {
        let last = contracts.iter().rfind(|contract| contract.interface(name).is_some());
        found.insert(match last {
            Some(last) => {
                format!("{shown}: this host serves {VERSION}, {} was the last to have it", last.version)
            }
            None => format!("{shown}: no version of the contract that this host knows has such an interface"),
        });
        return None;
    };
    if version != VERSION {
        found.insert(format!("{shown}: this host serves {VERSION}"));
    }
    let since = |function: &str| {
        let first = contracts.iter().find(|contract| contract.has(name, function));
        first.map_or(VERSION, |contract| contract.version)
    };
    let pair = compare::Pair { theirs, ours: &serving.resolve, interface: name };
    pair.compare(interface, ours, exported, since, found)
}

fn interfaces(resolve: &Resolve, world: WorldId) -> Vec<(bool, InterfaceId)> {
    let Some(world) = resolve.worlds.get(world) else { return Vec::new() };
    let items = |exported, items: Vec<&WorldItem>| -> Vec<(bool, InterfaceId)> {
        let interface = |item: &WorldItem| match item {
            WorldItem::Interface { id, .. } => Some((exported, *id)),
            _ => None,
        };
        items.into_iter().filter_map(interface).collect()
    };
    let mut all = items(false, world.imports.values().collect());
    all.extend(items(true, world.exports.values().collect()));
    all
}

/// One version of the contract, read.
struct Contract {
    version: &'static str,
    resolve: Resolve,
}

impl Contract {
    fn parse((version, files): &(&'static str, &'static [&'static str])) -> Option<Self> {
        let mut sources = SourceMap::default();
        for (number, text) in files.iter().enumerate() {
            sources.push_str(&format!("{number}.wit"), *text);
        }
        let mut resolve = Resolve::default();
        resolve.push_group(sources.parse().ok()?).ok()?;
        Some(Self { version, resolve })
    }

    fn interface(&self, name: &str) -> Option<InterfaceId> {
        self.resolve.interfaces.iter().find(|(_, one)| one.name.as_deref() == Some(name)).map(|(id, _)| id)
    }

    fn has(&self, interface: &str, function: &str) -> bool {
        let found = self.interface(interface).and_then(|id| self.resolve.interfaces.get(id));
        found.is_some_and(|found| found.functions.contains_key(function))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_the_host_does_not_differ() {
        for plugin in flyball_first_party::ALL {
            assert_eq!(differences(plugin.wasm), Vec::<String>::new(), "{}", plugin.name);
        }
    }

    #[test]
    fn damaged_components_are_read_without_an_end_of_the_host() {
        let whole = flyball_first_party::ALL[0].wasm;
        for number in 0..200 {
            let mut damaged = whole.to_vec();
            // Towards the end, where the component's own types and exports are.
            let at = whole.len() - 1 - number * 7;
            damaged[at] ^= 1 << (number % 8);
            assert!(differences(&damaged).len() <= MOST + 1);
            assert!(differences(&whole[..at]).len() <= MOST + 1);
        }
    }

    #[test]
    fn the_contract_that_components_are_compared_with_has_the_function_of_each_world() {
        let contract = Contract::parse(&KNOWN[0]).unwrap();
        assert!(contract.has("assessing", "assess"));
        for world in crate::worlds::Worlds::default().iter() {
            let interface = world.interface.trim_start_matches("flyball:plugin/");
            let name = interface.split('@').next().unwrap();
            assert!(contract.has(name, world.function), "{interface}");
        }
    }
}
