//! One interface of a component against the contract's.

use std::collections::{BTreeSet, HashSet};

use wit_parser::{Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId};

use super::written::{self, root, tame};
use crate::contract::VERSION;

/// The two sides.
pub(super) struct Pair<'a> {
    pub(super) theirs: &'a Resolve,
    pub(super) ours: &'a Resolve,
    pub(super) interface: &'a str,
}

/// Pairs of named types that are to be looked at, and those that were.
#[derive(Default)]
struct Named {
    open: Vec<(TypeId, TypeId)>,
    seen: HashSet<(TypeId, TypeId)>,
}

impl Pair<'_> {
    /// What a component exports must be all there; of what it imports it may leave out what it does not call.
    pub(super) fn compare(
        &self,
        theirs: InterfaceId,
        ours: InterfaceId,
        exported: bool,
        since: impl Fn(&str) -> &'static str,
        found: &mut BTreeSet<String>,
    ) -> Option<()> {
        let (theirs, ours) = (self.theirs.interfaces.get(theirs)?, self.ours.interfaces.get(ours)?);
        let mut named = Named::default();
        for (name, wanted) in &ours.functions {
            let Some(given) = theirs.functions.get(name) else {
                if exported {
                    let text = written::function(self.ours, wanted);
                    let since = since(name);
                    found.insert(format!(
                        "{}.{name} is missing; since {since} it is `{name}: {text}`",
                        self.interface
                    ));
                }
                continue;
            };
            self.function(name, given, wanted, &mut named, found);
        }
        if !exported {
            let own = theirs.functions.keys().filter(|name| !ours.functions.contains_key(*name));
            for name in own.take(super::MOST) {
                let text =
                    format!("{}.{} is imported; {VERSION} has no such function", self.interface, tame(name));
                found.insert(text);
            }
        }
        while let Some((theirs, ours)) = named.open.pop() {
            self.definition(theirs, ours, &mut named, found);
        }
        Some(())
    }

    fn function(
        &self,
        name: &str,
        theirs: &Function,
        ours: &Function,
        named: &mut Named,
        found: &mut BTreeSet<String>,
    ) {
        let (given, wanted) = (written::function(self.theirs, theirs), written::function(self.ours, ours));
        if given != wanted {
            let interface = self.interface;
            found.insert(format!("{interface}.{name} is `{given}`; in {VERSION} it is `{wanted}`"));
        }
        for (theirs, ours) in theirs.params.iter().zip(&ours.params) {
            self.walk(&theirs.ty, &ours.ty, named);
        }
        if let (Some(theirs), Some(ours)) = (&theirs.result, &ours.result) {
            self.walk(theirs, ours, named);
        }
    }

    /// Finds the named types that stand in the same place on both sides.
    fn walk(&self, theirs: &Type, ours: &Type, named: &mut Named) {
        let (Type::Id(theirs), Type::Id(ours)) = (theirs, ours) else { return };
        let (Ok((theirs, given)), Ok((ours, wanted))) = (root(self.theirs, *theirs), root(self.ours, *ours))
        else {
            return;
        };
        if !named.seen.insert((theirs, ours)) {
            return;
        }
        match (&given.kind, &wanted.kind) {
            (TypeDefKind::Option(theirs), TypeDefKind::Option(ours))
            | (TypeDefKind::List(theirs), TypeDefKind::List(ours)) => self.walk(theirs, ours, named),
            (TypeDefKind::Tuple(theirs), TypeDefKind::Tuple(ours)) => {
                for (theirs, ours) in theirs.types.iter().zip(&ours.types) {
                    self.walk(theirs, ours, named);
                }
            }
            (TypeDefKind::Result(theirs), TypeDefKind::Result(ours)) => {
                for (theirs, ours) in [(&theirs.ok, &ours.ok), (&theirs.err, &ours.err)] {
                    if let (Some(theirs), Some(ours)) = (theirs, ours) {
                        self.walk(theirs, ours, named);
                    }
                }
            }
            (
                TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_)),
                TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_)),
            ) => {}
            // Under different names they are different already, where they are used.
            _ if given.name == wanted.name => named.open.push((theirs, ours)),
            _ => {}
        }
    }

    fn definition(&self, theirs: TypeId, ours: TypeId, named: &mut Named, found: &mut BTreeSet<String>) {
        let (Some(given), Some(wanted)) = (self.theirs.types.get(theirs), self.ours.types.get(ours)) else {
            return;
        };
        let name = wanted.name.as_deref().unwrap_or("?");
        if given.kind.as_str() != wanted.kind.as_str() {
            found.insert(format!(
                "`{name}` is a {}; in {VERSION} it is a {}",
                given.kind.as_str(),
                wanted.kind.as_str()
            ));
            return;
        }
        let (what, given) = parts(&given.kind);
        let (_, wanted) = parts(&wanted.kind);
        for (part, ours) in &wanted {
            let Some((_, theirs)) = given.iter().find(|(name, _)| name == part) else {
                found.insert(format!(
                    "{what} `{part}` of `{name}` is missing; {VERSION} has it{}",
                    self.of(*ours)
                ));
                continue;
            };
            let texts = (self.text(self.theirs, *theirs), self.text(self.ours, *ours));
            if texts.0 != texts.1 {
                let (given, wanted) = texts;
                found.insert(format!(
                    "{what} `{part}` of `{name}` is `{given}`; in {VERSION} it is `{wanted}`"
                ));
            }
            if let (Some(theirs), Some(ours)) = (theirs, ours) {
                self.walk(theirs, ours, named);
            }
        }
        let own = given.iter().filter(|(part, _)| !wanted.iter().any(|(name, _)| name == part));
        for (part, _) in own.take(super::MOST) {
            found.insert(format!("`{name}` has a {what} `{}`; in {VERSION} it has none such", tame(part)));
        }
        let order =
            |parts: &[(&str, Option<&Type>)]| parts.iter().map(|(name, _)| (*name).to_owned()).collect();
        let (given, wanted): (Vec<String>, Vec<String>) = (order(&given), order(&wanted));
        if given != wanted && given.len() == wanted.len() && given.iter().all(|part| wanted.contains(part)) {
            found.insert(format!("`{name}` has its {what}s in another order than in {VERSION}"));
        }
    }

    fn text(&self, resolve: &Resolve, ty: Option<&Type>) -> String {
        ty.map_or_else(|| "nothing".to_owned(), |ty| written::kind(resolve, ty))
    }

    fn of(&self, ty: Option<&Type>) -> String {
        ty.map(|ty| format!(": `{}`", written::kind(self.ours, ty))).unwrap_or_default()
    }
}

/// What a definition is made of.
fn parts(kind: &TypeDefKind) -> (&'static str, Vec<(&str, Option<&Type>)>) {
    match kind {
        TypeDefKind::Record(record) => {
            ("field", record.fields.iter().map(|field| (&*field.name, Some(&field.ty))).collect())
        }
        TypeDefKind::Variant(variant) => {
            ("case", variant.cases.iter().map(|case| (&*case.name, case.ty.as_ref())).collect())
        }
        TypeDefKind::Enum(one) => ("case", one.cases.iter().map(|case| (&*case.name, None)).collect()),
        TypeDefKind::Flags(flags) => ("flag", flags.flags.iter().map(|flag| (&*flag.name, None)).collect()),
        _ => ("part", Vec::new()),
    }
}
