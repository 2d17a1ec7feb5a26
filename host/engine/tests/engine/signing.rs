//! Policies that ask for signers.

use flyball_engine::{
    Library, LibraryOptions, OpenError, PolicySource, Reload, Stage, Versions, signature_path,
};
use minisign::KeyPair;

use crate::guests::{engine, guest};
use crate::reloading::Place;

fn keys() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

fn signature(bytes: &[u8], keys: &KeyPair) -> String {
    minisign::sign(None, &keys.sk, bytes, None, None).unwrap().into_string()
}

fn policy(signer: &str) -> String {
    format!("name: main\nsigners:\n  - {signer}\njudges:\n  heuristics:\n    - plugin: probe\n")
}

fn version(version: &str) -> Vec<u8> {
    guest("probe", version, "")
}

/// What a look is told, and that nothing new serves.
fn refused(reload: Option<Reload>) -> String {
    let reload = reload.unwrap();
    assert_eq!(reload.generation, None, "{reload:?}");
    assert_eq!(reload.troubles[0].stage, Stage::Verify);
    reload.troubles[0].error.clone()
}

#[test]
fn an_unsigned_plugin_does_not_serve_until_its_signature_comes() {
    let (place, keys) = (Place::new(), keys());
    place.write("policies/main.yaml", policy(&keys.pk.to_base64()));
    let said = refused(place.library.refresh());
    assert!(said.contains("main.yaml:6") && said.contains("it is not signed"), "{said}");
    assert!(said.contains("flyball sign") && said.contains("probe.wasm"), "{said}");
    place.write("plugins/probe.wasm.minisig", signature(&version("1.0.0"), &keys));
    let reload = place.library.refresh().unwrap();
    assert_eq!((reload.generation, reload.troubles.len()), (Some(2), 0));
}

#[test]
fn an_update_with_the_signature_of_the_version_before_is_called_altered_and_held() {
    let (place, keys) = (Place::new(), keys());
    place.write("plugins/probe.wasm.minisig", signature(&version("1.0.0"), &keys));
    place.write("policies/main.yaml", policy(&keys.pk.to_base64()));
    assert_eq!(place.library.refresh().unwrap().generation, Some(2));
    place.write("plugins/probe.wasm", version("2.0.0"));
    let said = refused(place.library.refresh());
    assert!(said.contains("not as it was when it was signed"), "{said}");
    assert_eq!(place.running(), "1.0.0");
    place.write("plugins/probe.wasm.minisig", signature(&version("2.0.0"), &keys));
    assert_eq!(place.library.refresh().unwrap().generation, Some(3));
    assert_eq!(place.running(), "2.0.0");
}

#[test]
fn a_version_that_was_signed_can_be_gone_back_to() {
    let (place, keys) = (Place::new(), keys());
    place.write("plugins/probe.wasm.minisig", signature(&version("1.0.0"), &keys));
    place.write("policies/main.yaml", policy(&keys.pk.to_base64()));
    place.library.refresh().unwrap();
    place.write("plugins/probe.wasm", version("2.0.0"));
    place.write("plugins/probe.wasm.minisig", signature(&version("2.0.0"), &keys));
    place.library.refresh().unwrap();
    Versions::open(&place.path("versions")).unwrap().roll_back("probe").unwrap();
    place.library.refresh().unwrap();
    assert_eq!(place.running(), "1.0.0");
}

#[test]
fn a_signature_with_another_key_or_of_no_sense_does_not_count() {
    let (place, keys, other) = (Place::new(), keys(), keys());
    place.write("plugins/probe.wasm.minisig", signature(&version("1.0.0"), &other));
    place.write("policies/main.yaml", policy(&keys.pk.to_base64()));
    let said = refused(place.library.refresh());
    assert!(said.contains("which is not a signer's"), "{said}");
    for nonsense in ["", "\n\n\n\n", "untrusted comment: a\nRUQ\ntrusted comment: b\nRUQ\n", "\u{0}\u{1}"] {
        place.write("plugins/probe.wasm.minisig", nonsense);
        let said = place.library.refresh().map(|reload| reload.troubles[0].error.clone());
        // The same trouble is told once.
        assert!(said.is_none_or(|said| said.contains("no signature in minisign's format")), "{nonsense:?}");
        assert_eq!(place.library.generation(), 1);
    }
}

#[test]
fn every_changed_byte_of_a_signature_or_a_component_is_seen() {
    let keys = keys();
    let signers = [flyball_engine::Signer::read(&keys.pk.to_base64()).unwrap()];
    let bytes = b"a component, as far as signing goes".to_vec();
    let signed = signature(&bytes, &keys);
    let good =
        |bytes: &[u8], text: &str| flyball_engine::verify_signature(bytes, Some(text), &signers).is_ok();
    assert!(good(&bytes, &signed));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(!good(&changed, &signed), "{at}");
    }
    let first = signed.find('\n').unwrap();
    for (at, _) in signed.char_indices().filter(|(at, c)| *at > first && *c != '\n' && *c != '=') {
        let mut changed = signed.clone().into_bytes();
        // Another letter of base64, or of the comment.
        changed[at] = if changed[at] == b'Q' { b'g' } else { b'Q' };
        assert!(!good(&bytes, &String::from_utf8(changed).unwrap()), "{at}: {signed}");
    }
}

#[test]
fn what_came_with_the_host_needs_no_signature_and_a_text_that_is_no_key_is_told_at_its_line() {
    let open = |signer: &str| {
        Library::open(LibraryOptions {
            engine: engine(),
            first_party: vec![("probe".to_owned(), version("1.0.0").into())],
            plugins_dir: None,
            versions: None,
            policies: PolicySource::Text(vec![flyball_documents::DocumentText::new(
                "main.yaml",
                policy(signer),
            )]),
        })
    };
    assert_eq!(open(&keys().pk.to_base64()).unwrap().generation(), 1);
    let Err(OpenError::Documents(faults)) = open("hunter2") else { panic!("a key that is none") };
    let said = faults.to_string();
    assert!(said.contains("main.yaml:3") && said.contains("\"hunter2\" is no public key"), "{said}");
}

#[test]
fn a_signature_lies_beside_its_file_by_the_whole_name() {
    assert_eq!(signature_path("a/b.wasm".as_ref()), std::path::Path::new("a/b.wasm.minisig"));
}
