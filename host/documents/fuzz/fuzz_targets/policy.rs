//! Whatever a policy directory holds is read or refused with its line.
#![no_main]

#[path = "../told.rs"]
mod told;

use flyball_documents::{DocumentText, locate, never_fires, read_policy, unmatched_nodes};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|text: &str| -> Corpus {
    let source = DocumentText::new("any.yaml", text);
    match read_policy(&source) {
        Err(faults) => told::fit(&faults),
        Ok(policy) => {
            for problems in [never_fires(&policy), unmatched_nodes(&policy, ["in", "out"])] {
                if !problems.is_empty() {
                    told::fit(&locate(&source, problems));
                }
            }
            // What was read means the same when it is written and read again.
            let again = DocumentText::new("any.yaml", written(&policy));
            assert_eq!(read_policy(&again).expect("what was read is written well"), policy);
        }
    }
    Corpus::Keep
});

fn written(policy: &flyball_model::Policy) -> String {
    serde_json::to_string(policy).expect("a policy is JSON")
}
