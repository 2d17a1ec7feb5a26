//! The contract's types and the traits of what the host offers, generated from `wit/`.
//!
//! One world that imports everything gives each shared type once, for all six kinds of plugin. What plugins export is
//! called through typed functions that are looked up singly: a call pays for the one function that it needs.
#![allow(missing_docs, reason = "generated; `wit/` documents it")]
#![allow(clippy::all, clippy::unwrap_used, clippy::indexing_slicing, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: r#"
        package flyball:host;

        world everything {
            import flyball:plugin/settings@0.1.0;
            import flyball:plugin/log@0.1.0;
            import flyball:plugin/metrics@0.1.0;
            import flyball:plugin/state@0.1.0;
            import flyball:plugin/http@0.1.0;
            import flyball:plugin/llm@0.1.0;
            import flyball:plugin/lifecycle@0.1.0;
            import flyball:plugin/observed@0.1.0;
            import flyball:plugin/pipeline@0.1.0;
            import flyball:plugin/assessing@0.1.0;
            import flyball:plugin/deciding@0.1.0;
            import flyball:plugin/reviewing@0.1.0;
            import flyball:plugin/reversing@0.1.0;
            import flyball:plugin/listing@0.1.0;
            import flyball:plugin/processing@0.1.0;
        }
    "#,
    with: {
        "flyball:plugin/observed.observation": crate::capabilities::observed::Seen,
        "flyball:plugin/observed.window": crate::capabilities::observed::Past,
    },
    imports: { default: trappable },
});

pub(crate) use flyball::plugin::{
    actions, assessing, deciding, http, judgement, lifecycle, listing, llm, log, metrics, observed, offers,
    pipeline, processing, reversing, reviewing, settings, state,
};
