//! What a child writes, read by the host: whatever it is, each item of the batch has one answer, every error is short and
//! fit for a terminal, and the reading ends. The first byte says how many items were asked, the rest is the child's output.

#![no_main]

use std::time::Duration;

use flyball_nodes::child::answers_in;
use flyball_nodes::{ChildOptions, ItemLimits, ProcessError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((items, output)) = input.split_first() else { return };
    let items = usize::from(items % 9);
    // Virtual time: a silence of thirty seconds costs nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let limits = ItemLimits { encoded: 4_096, ..ItemLimits::default() };
    let options = ChildOptions { limits, item_timeout: Duration::from_secs(30), asks_again: false };
    let (answers, why) = runtime.block_on(answers_in(output, items, &options));
    assert_eq!(answers.len(), items);
    for answer in answers {
        let text = match answer {
            Ok(_) => continue,
            Err(ProcessError::Worker(text)) => {
                assert!(why.is_some(), "a worker is to blame that is not ended");
                text
            }
            Err(ProcessError::Item(text)) => text,
            Err(ProcessError::Unavailable(unavailable)) => unavailable.why,
        };
        assert!(text.len() < 40_000, "an error of {} bytes", text.len());
        assert!(!text.chars().any(char::is_control), "an error steers a terminal: {text:?}");
    }
});
