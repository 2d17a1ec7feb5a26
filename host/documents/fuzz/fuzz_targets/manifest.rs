//! Whatever is given as a manifest is read or refused with its line.
#![no_main]

#[path = "../told.rs"]
mod told;

use flyball_documents::{DocumentText, locate, read_manifest};
use flyball_model::{Problem, hidden_in};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|text: &str| -> Corpus {
    let source = DocumentText::new("any.yaml", text);
    match read_manifest(&source) {
        Err(faults) => told::fit(&faults),
        Ok(manifest) => {
            assert!(hidden_in(&manifest.name).is_none());
            assert!(manifest.nodes.iter().all(|node| hidden_in(&node.id).is_none()));
            // What was read means the same when it is written and read again.
            let written = serde_json::to_string(&manifest).expect("a manifest is JSON");
            let again = read_manifest(&DocumentText::new("any.yaml", written)).expect("what was read is written well");
            assert_eq!(again, manifest);
        }
    }
    let everywhere = ["", "/nodes/0/id", "/nodes/1", "no pointer", "/a~1b/~0"];
    told::fit(&locate(&source, everywhere.map(|pointer| Problem::new(pointer, "x")).into()));
    Corpus::Keep
});
