//! The plugins that come with Flyball, as components. The build script compiles them from `plugins/`, or takes
//! those that the repository carries where the compiler cannot.

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct FirstParty {
    /// The name that policies use.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
}

/// All of them, in the order of the alphabet.
pub const ALL: &[FirstParty] = include!(concat!(env!("OUT_DIR"), "/first_party.rs"));

/// Whether they were built from the source beside them. Where the compiler lacks the target, they are those that the
/// repository carries.
pub const FROM_SOURCE: bool = include!(concat!(env!("OUT_DIR"), "/from_source.rs"));

/// The one of that name.
pub fn find(name: &str) -> Option<&'static FirstParty> {
    ALL.iter().find(|plugin| plugin.name == name)
}
