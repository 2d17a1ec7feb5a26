//! Components of contracts that are not quite this host's.

use std::path::Path;

use wit_parser::{Resolve, SourceMap};

use crate::guests::{Parts, encoded, refusal};

fn core(imports: &str) -> String {
    Parts { imports, ..Parts::good("other", "1.0.0") }.core()
}

/// The contract with one text in place of another.
fn contract(old: &str, new: &str) -> Resolve {
    changed(&[(old, new)])
}

fn changed(texts: &[(&str, &str)]) -> Resolve {
    let mut sources = SourceMap::default();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = texts.iter().fold(text, |text, (old, new)| text.replace(old, new));
        sources.push_str(path.to_str().unwrap(), text);
    }
    let mut resolve = Resolve::default();
    resolve.push_group(sources.parse().map_err(|(_, error)| error).unwrap()).unwrap();
    resolve
}

fn said_of(core: &str, contract: &Resolve) -> String {
    refusal(&encoded(core, "heuristic", contract)).to_string()
}

#[test]
fn a_field_of_another_type_is_named_with_both_types() {
    let contract = contract(
        "/// One sentence for people.\n        message: string,",
        "/// One sentence for people.\n        message: list<u8>,",
    );
    assert_eq!(
        said_of(&core(""), &contract),
        "the plugin does not fit flyball:plugin@0.1.0: field `message` of `finding` is `list<u8>`; in 0.1.0 it is \
         `string`; build it against that contract"
    );
}

#[test]
fn a_case_that_is_missing_or_too_many_is_named() {
    let module = core("");
    let fewer = said_of(&module, &contract("debug, info, warn, error", "debug, info, warn"));
    assert!(fewer.contains("case `error` of `level` is missing; 0.1.0 has it"), "{fewer}");
    let more = said_of(&module, &contract("debug, info, warn, error", "debug, info, warn, error, fatal"));
    assert!(more.contains("`level` has a case `fatal`; in 0.1.0 it has none such"), "{more}");
    let turned = said_of(&module, &contract("debug, info, warn, error", "error, warn, info, debug"));
    assert!(turned.contains("`level` has its cases in another order than in 0.1.0"), "{turned}");
}

#[test]
fn a_function_that_is_missing_is_given_as_the_contract_has_it() {
    let contract = contract("check-settings: func() -> result<_, list<fault>>;", "");
    let module = core("");
    let module: String = module.lines().filter(|line| !line.contains("check-settings")).collect();
    let said = said_of(&module, &contract);
    assert!(
        said.contains(
            "lifecycle.check-settings is missing; since 0.1.0 it is `check-settings: func() -> result<_, list<fault>>`"
        ),
        "{said}"
    );
}

#[test]
fn a_function_with_other_parameters_is_shown_in_both_forms() {
    let contract =
        contract("past: borrow<window>) -> assessment", "past: borrow<window>, n: u32) -> assessment");
    let module = core("").replace("(param $past i32)", "(param $past i32) (param i32)");
    let said = said_of(&module, &contract);
    assert!(
        said.contains(
            "assessing.assess is `func(now: borrow<observation>, past: borrow<window>, n: u32) -> assessment`; in \
             0.1.0 it is `func(now: borrow<observation>, past: borrow<window>) -> assessment`"
        ),
        "{said}"
    );
}

#[test]
fn an_interface_that_no_known_version_has_is_called_so() {
    let contract = contract(
        "world heuristic {",
        "interface dreaming { dream: func() -> u32; }\nworld heuristic {\n    import dreaming;",
    );
    let imports = r#"(import "flyball:plugin/dreaming@0.1.0" "dream" (func (result i32)))"#;
    let said = said_of(&core(imports), &contract);
    assert!(
        said.contains(
            "flyball:plugin/dreaming@0.1.0: no version of the contract that this host knows has such an interface"
        ),
        "{said}"
    );
}

#[test]
fn a_plugin_of_a_later_contract_is_told_what_that_changed() {
    let contract = contract("@0.1.0", "@0.9.0");
    let module = core("").replace("@0.1.0", "@0.9.0");
    let same = said_of(&module, &contract);
    assert_eq!(same, "the plugin was built for flyball:plugin@0.9.0; this host serves flyball:plugin@0.1.0");
    let resolve = changed(&[("@0.1.0", "@0.9.0"), ("past: borrow<window>)", "before: borrow<window>)")]);
    let other = said_of(&module, &resolve);
    assert!(
        other.contains("this host serves flyball:plugin@0.1.0: assessing.assess is `func(now:"),
        "{other}"
    );
}
