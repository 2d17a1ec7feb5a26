//! Files too large or too broken to be written by hand.

use crate::guests::{Parts, contract, encoded};

/// By the recipe's name; `good` makes a plugin that nothing is wrong with.
pub fn bytes(recipe: &str, name: &str, good: impl Fn() -> Vec<u8>) -> Vec<u8> {
    let fields = |fields: &str| {
        encoded(&Parts { fields, ..Parts::good(name, "1.0.0") }.core(), "heuristic", &contract(&[]))
    };
    match recipe {
        "nothing" => Vec::new(),
        "text" => b"#!/bin/sh\necho a plugin\n".to_vec(),
        "zip" => [b"PK\x03\x04\x14\0\0\0", good().as_slice()].concat(),
        "core module" => wat::parse_str(Parts::good(name, "1.0.0").core()).unwrap(),
        "first half" => good()[..good().len() / 2].to_vec(),
        "a section cut out" => {
            let good = good();
            [&good[..8], &good[good.len() / 3..]].concat()
        }
        "every 97th byte flipped" => {
            let flip = |(at, byte): (usize, u8)| if at % 97 == 96 { byte ^ 0x10 } else { byte };
            good().into_iter().enumerate().map(flip).collect()
        }
        "the version of the format raised" => {
            let mut good = good();
            good[4] = 0x0e;
            good
        }
        "60 MB of a plugin" => with_custom_section(good(), "x", &vec![0; 60 << 20]),
        "65 MiB of a plugin" => with_custom_section(good(), "x", &vec![0; 65 << 20]),
        "a golden case with escapes" => {
            with_custom_section(good(), "flyball:cases", "{\"\u{7f}\u{9b}2J\": 1}".as_bytes())
        }
        "200000 functions" => fields(&"(func)\n".repeat(200_000)),
        "a function of 50000 locals" => {
            // Each is alive from the start to the end.
            let set: String =
                (0..3_000).map(|n| format!("(local.set {n} (i32.load (i32.const {n})))")).collect();
            let branch: String = (0..3_000)
                .map(|n| format!("(if (local.get {n}) (then (local.set {n} (i32.load (local.get {n})))))"))
                .collect();
            fields(&format!("(func (export \"x\") (local {}) {set} {branch})", "i32 ".repeat(49_000)))
        }
        "100000 blocks in one another" => {
            fields(&format!("(func {} {})", "block ".repeat(100_000), "end ".repeat(100_000)))
        }
        "calls of a thousand arguments" => {
            let many = "i32 ".repeat(900);
            let zeros = "(i32.const 0)".repeat(900);
            let calls = "call $many ".repeat(20_000);
            let drops = "drop ".repeat(900);
            fields(&format!(
                "(func $many (param {many}) (result {many}) {}) (func {zeros} {calls} {drops})",
                (0..900).map(|n| format!("local.get {n} ")).collect::<String>()
            ))
        }
        "tables of jumps" => {
            let table = format!("(br_table {} (local.get 0))", "0 ".repeat(60_000));
            let blocks: String = (0..30).map(|_| format!("(block {table})")).collect();
            fields(&format!("(func (param i32) {blocks})"))
        }
        "5000 instances" => with_instances(good(), "(module)", 5_000),
        "500 instances" => with_instances(good(), "(module)", 500),
        "50 memories" => with_instances(good(), "(module (memory 1))", 50),
        "100 tables" => with_instances(good(), "(module (table 10000 funcref))", 100),
        "components that double" => doubling(40),
        other => panic!("there is no recipe {other:?}"),
    }
}

/// A component that instantiates another twice, which does the same, and so on.
fn doubling(levels: usize) -> Vec<u8> {
    let mut text = "(component $c (core module $m) (core instance (instantiate $m)))".to_owned();
    for _ in 0..levels {
        text = format!("(component $c {text} (instance (instantiate $c)) (instance (instantiate $c)))");
    }
    wat::parse_str(text).unwrap()
}

fn with_custom_section(mut bytes: Vec<u8>, name: &str, content: &[u8]) -> Vec<u8> {
    section(&mut bytes, 0, &[leb128(name.len()).as_slice(), name.as_bytes(), content].concat());
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    bytes.extend(leb128(content.len()));
    bytes.extend_from_slice(content);
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// The plugin, and so many instances of a module beside its own.
fn with_instances(mut bytes: Vec<u8>, module: &str, count: usize) -> Vec<u8> {
    let before = wasmparser::Parser::new(0)
        .parse_all(&bytes)
        .filter(|payload| matches!(payload, Ok(wasmparser::Payload::ModuleSection { .. })))
        .count();
    section(&mut bytes, 1, &wat::parse_str(module).unwrap());
    // Each: by instantiating, the module of that number, with nothing.
    let one = [&[0], leb128(before).as_slice(), &[0]].concat();
    section(&mut bytes, 2, &[leb128(count), one.repeat(count)].concat());
    bytes
}

pub fn schema(recipe: &str) -> String {
    match recipe {
        "doubling" => {
            let definition = |n: u32| {
                format!(
                    r##""d{n}":{{"allOf":[{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}}"##,
                    n + 1
                )
            };
            let definitions: Vec<String> = (0..40).map(definition).collect();
            format!(
                r##"{{"$ref":"#/$defs/d0","$defs":{{{},"d40":{{"type":"object"}}}}}}"##,
                definitions.join(",")
            )
        }
        "deep" => format!("{}{{}}{}", r#"{"not":"#.repeat(2_000), "}".repeat(2_000)),
        "deep below the limit of JSON" => format!("{}{{}}{}", r#"{"not":"#.repeat(120), "}".repeat(120)),
        "wide" => {
            let names: Vec<String> =
                (0..2_500).map(|n| format!(r#""p{n}":{{"pattern":"^[a-z]+$"}}"#)).collect();
            format!(r#"{{"patternProperties":{{{}}}}}"#, names.join(","))
        }
        other => panic!("there is no recipe {other:?}"),
    }
}
