//! What all macros that make a crate a plugin share: what the crate is called, the exports of every plugin, and its golden cases.
//! Each world's own macro is in that world's file.

/// What a plugin is called; the macros take it from the crate's manifest.
pub trait About {
    /// The name that policies use: the package's.
    const NAME: &'static str;
    /// The package's.
    const VERSION: &'static str;
    /// One line: the package's description.
    const SUMMARY: &'static str;
    /// Grants that it wants, each with why: the macros take them after `wants`.
    const WANTS: &'static [(&'static str, &'static str)];
}

#[doc(hidden)]
#[macro_export]
macro_rules! __plugin {
    ($plugin:ty, $trait:ident, $module:ident, $export:ident, [$($grant:literal: $why:literal),*]) => {
        impl $crate::About for $plugin {
            const NAME: &'static str = env!("CARGO_PKG_NAME");
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const SUMMARY: &'static str = env!("CARGO_PKG_DESCRIPTION");
            const WANTS: &'static [(&'static str, &'static str)] = &[$(($grant, $why)),*];
        }

        const _: fn() = || {
            fn is<P: $crate::$trait + $crate::About>() {}
            is::<$plugin>();
        };

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, missing_docs, reason = "the exports of a component, generated")]
        const _: () = {
            type Own = $crate::$module::Exported<$plugin>;
            $crate::$module::bindings::$export!(Own with_types_in $crate::$module::bindings);
            type Common = $crate::lifecycle::Exported<$plugin>;
            $crate::lifecycle::bindings::__export_lifecycle!(Common with_types_in $crate::lifecycle::bindings);
        };
    };
}

/// Puts golden cases into the component, so that the host asks a version its own cases before it serves:
/// `cases!("../cases/quiet.json", "../cases/busy.json")`, by paths from the file that says it. They are part of the
/// component's digest. Natively it is nothing: see the crate's page for the format and how to run them as tests.
#[macro_export]
macro_rules! cases {
    ($($file:literal),+ $(,)?) => {
        $(
            #[cfg(target_family = "wasm")]
            #[allow(unsafe_code, reason = "the section's name is this crate's own")]
            const _: () = {
                // The file's name goes before it, so that a case that fails is told with its file and line.
                const CASE: &str =
                    concat!("{\"flyball-case-file\":", stringify!($file), "}\n", include_str!($file), "\n");
                #[used]
                #[unsafe(link_section = "flyball:cases")]
                static SECTION: [u8; CASE.len()] = match CASE.as_bytes().first_chunk() {
                    Some(bytes) => *bytes,
                    None => [0; CASE.len()],
                };
            };
        )+
    };
}
