//! Whatever a client sends is answered or cut off, and what is accepted is an item.
#![no_main]

use flyball_nodes::{ItemLimits, Json, http_in_over};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LIMITS: ItemLimits = ItemLimits { depth: 8, encoded: 2_000, decoded: 20_000 };

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let config = json!({"bind": "127.0.0.1:0", "max_body_kb": 4, "buffer": 16});
        let (serving, mut source) = http_in_over(theirs, &config, &LIMITS).expect("a source");
        let serving = tokio::spawn(serving);
        let (mut read, mut write) = tokio::io::split(ours);
        let reading = tokio::spawn(async move {
            let mut answers = Vec::new();
            let _ = read.read_to_end(&mut answers).await;
        });
        let _ = write.write_all(bytes).await;
        let _ = write.shutdown().await;
        serving.await.expect("the connection ends without a panic");
        reading.await.expect("the answers end");
        source.stop();
        while let Some(taken) = source.next(64).await.expect("the source goes on") {
            for item in taken {
                let item = item.expect("what was accepted is an item");
                LIMITS.check(&item).expect("it is within the limits");
                let again = Json::read(&item.to_bytes(), &LIMITS).expect("it is read again");
                assert_eq!(again.to_string(), item.to_string());
            }
        }
    });
});
