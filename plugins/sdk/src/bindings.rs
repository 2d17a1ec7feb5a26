//! The contract's types as Rust has them. All six worlds share these.
#![allow(missing_docs, reason = "generated; the contract's own comments are kept")]
#![allow(unsafe_code, reason = "generated")]
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "generated"
)]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package flyball:sdk;
        world shared {
            import flyball:plugin/observed@0.1.0;
            import flyball:plugin/judgement@0.1.0;
            import flyball:plugin/actions@0.1.0;
            import flyball:plugin/offers@0.1.0;
            import flyball:plugin/pipeline@0.1.0;
            import flyball:plugin/settings@0.1.0;
            import flyball:plugin/log@0.1.0;
            import flyball:plugin/metrics@0.1.0;
            import flyball:plugin/state@0.1.0;
            import flyball:plugin/http@0.1.0;
            import flyball:plugin/llm@0.1.0;
        }
    ",
    world: "flyball:sdk/shared",
    generate_all,
    additional_derives: [PartialEq],
});

pub use flyball::plugin::{
    actions, http, judgement, llm, log, metrics, observed, offers, pipeline, settings, state,
};
