//! Whatever a built-in child process is given, it answers or ends with a sentence, and what it is given comes back with
//! its digits.
#![no_main]

use flyball_nodes::{ItemLimits, Json, serve};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let config = json!({"template": "{{.}}"});
    let serve = |input: Vec<u8>| {
        let mut output = Vec::new();
        let served = runtime.block_on(serve("map", &config, input.as_slice(), &mut output));
        (served, String::from_utf8(output).expect("what it writes is UTF-8"))
    };
    if let (Err(error), _) = serve(bytes.to_vec()) {
        assert!(error.to_string().chars().count() < 1_000);
    }
    if let Ok(item) = Json::read(bytes, &ItemLimits::default()) {
        let (served, output) = serve(format!("{{\"id\":1,\"body\":{item}}}\n").into_bytes());
        served.expect("it serves what is within the limits");
        assert!(output.contains(&format!("{{\"id\":1,\"out\":[{item}]}}")), "{output}");
    }
});
