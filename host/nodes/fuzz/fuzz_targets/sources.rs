//! Whatever a file holds, its lines and rows are items or failed ones with their bytes, to its end.
#![no_main]

use std::io::Write as _;

use flyball_nodes::{ItemLimits, source};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const LIMITS: ItemLimits = ItemLimits { depth: 8, encoded: 1_500, decoded: 20_000 };

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let mut csv = tempfile::NamedTempFile::new().expect("a file");
    csv.write_all(b"t,a\n0,first\n").and_then(|()| csv.write_all(bytes)).expect("it is written");
    let mut lines = tempfile::NamedTempFile::new().expect("a file");
    lines.write_all(bytes).expect("it is written");
    runtime.block_on(async {
        let replay = json!({"path": csv.path(), "timestamp_column": "t", "max_row_kb": 1});
        let read = json!({"path": lines.path(), "max_line_kb": 1});
        for (kind, config) in [("csv-replay", replay), ("lines", read)] {
            let mut source = source(kind, &config, &LIMITS).expect("it is opened");
            while let Some(taken) = source.next(16).await.expect("it goes on") {
                for item in taken {
                    match item {
                        Ok(item) => drop(LIMITS.check(&item).expect("it is within the limits")),
                        Err(failed) => assert!(failed.bytes.len() <= 1_026 && !failed.error.is_empty()),
                    }
                }
            }
        }
    });
});
