//! One world of the contract: its bindings over the shared types. What every world exports beside its own interface
//! is in `lifecycle`, once, as the bindings of two worlds with one interface would clash.

macro_rules! world {
    ($inline:literal, $world:literal, $export:literal, [$($shared:literal => $module:ident),*]) => {
        #[doc(hidden)]
        #[allow(missing_docs, unsafe_code, unused, reason = "generated")]
        #[allow(clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "generated")]
        pub mod bindings {
            wit_bindgen::generate!({
                path: "../../wit",
                inline: $inline,
                world: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                generate_all,
                with: { $($shared: crate::bindings::$module),* },
                additional_derives: [PartialEq],
            });
        }

        /// Ties a plugin to the exports of its world; made by the macro.
        #[doc(hidden)]
        pub struct Exported<P>(core::marker::PhantomData<P>);
    };
}
pub(crate) use world;
