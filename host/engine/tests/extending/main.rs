//! A kind of plugin and a capability that the engine does not know are added by one file each. Everything follows that the engine's
//! own have: they are loaded, linked by a grant, called, recorded in the real store, replayed, held to golden cases, told in a
//! policy's faults and reloaded. (A data plane in one file is in `host/host/tests/toy_plane.rs`.)
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod dice;
mod forecaster;
mod guest;
#[path = "../engine/guests.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod guests;
#[path = "../engine/sights.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod sights;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flyball_engine::capabilities::Capabilities;
use flyball_engine::worlds::{World, Worlds};
use flyball_engine::{
    Engine, EngineOptions, Library, LibraryOptions, LoadError, PluginJudge, PolicySource, Recorded, Subject,
};
use flyball_model::{Limits, PluginUse};
use flyball_ports::{CallInput, Recorder, Said};
use flyball_store::{CallFilter, RecordedCall, Recordings, RecordingsOptions, RecordingsReader, Which, same};
use serde_json::json;

use dice::Dice;
use forecaster::Forecaster;
use guest::a_forecaster;
use sights::sight;

const POLICY: &str = "
name: main
judges:
  others:
    forecaster:
      - plugin: forecaster
        grants: { others: { dice: { plus: 1000 } } }
";

/// A roll of 4 on tick 1, three ticks ahead.
const GOOD_CASE: &str = r#"{
  "about": "the dice are added",
  "question": { "ahead": 3 },
  "others": [{ "capability": "dice", "question": { "sides": 6 }, "answer": 4 }],
  "expect": { "answer": { "items": 8 } }
}"#;

fn engine(recorder: Option<Arc<dyn Recorder>>) -> Engine {
    Engine::new(EngineOptions {
        recorder,
        worlds: Worlds::default().with::<Forecaster>(),
        capabilities: Capabilities::default().with::<Dice>(),
        ..EngineOptions::default()
    })
    .unwrap()
}

/// A library over a directory with a forecaster and a policy.
struct Place {
    folder: tempfile::TempDir,
    library: Arc<Library>,
}

impl Place {
    fn with(policy: &str, recorder: Option<Arc<dyn Recorder>>) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let [plugins, policies] = ["plugins", "policies"].map(|name| folder.path().join(name));
        std::fs::create_dir(&plugins).unwrap();
        std::fs::create_dir(&policies).unwrap();
        std::fs::write(plugins.join("forecaster.wasm"), a_forecaster("1.0.0", 0, &[GOOD_CASE])).unwrap();
        std::fs::write(policies.join("main.yaml"), policy).unwrap();
        let library = Library::open(LibraryOptions {
            engine: engine(recorder),
            first_party: Vec::new(),
            plugins_dir: Some(plugins),
            versions: None,
            policies: PolicySource::Dir(policies),
        });
        Ok(Self { library: library.map_err(|error| error.to_string())?, folder })
    }

    fn judge(&self) -> Arc<PluginJudge> {
        let found = self.library.others("orders", Forecaster::KIND);
        assert_eq!(found.len(), 1);
        Arc::clone(&found[0])
    }

    fn write(&self, component: &[u8]) {
        std::fs::write(self.folder.path().join("plugins/forecaster.wasm"), component).unwrap();
    }
}

fn question(ahead: u64) -> CallInput {
    CallInput::Other { sight: Some(sight(3, 7)), question: json!({ "ahead": ahead }) }
}

async fn items(judge: &PluginJudge, ahead: u64) -> u64 {
    match judge.asked(question(ahead)).await.unwrap().said {
        Said::Other(answer) => answer["items"].as_u64().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What a directory holds of calls.
fn read(directory: &Path) -> Vec<RecordedCall> {
    let reader = RecordingsReader::open(directory).unwrap();
    let ids = reader.ids(&CallFilter::default()).unwrap();
    ids.into_iter().map(|id| reader.call(id).unwrap()).collect()
}

#[test]
fn a_component_of_a_new_kind_is_known_for_what_it_is() {
    let plugin = engine(None).load(&a_forecaster("1.2.3", 0, &[])).unwrap();
    assert_eq!(plugin.kind().name(), "forecaster");
    assert_eq!(&*plugin.id().version, "1.2.3");
    assert!(plugin.imports().iter().any(|name| name == "toy:weather/dice@0.1.0"), "{:?}", plugin.imports());
    assert!(plugin.exports().iter().any(|name| name == Forecaster::INTERFACE), "{:?}", plugin.exports());
}

#[test]
fn an_engine_without_the_kind_refuses_it_and_one_without_the_capability_names_the_import() {
    let component = a_forecaster("1.0.0", 0, &[]);
    let options =
        EngineOptions { capabilities: Capabilities::default().with::<Dice>(), ..EngineOptions::default() };
    let refused = Engine::new(options).unwrap().load(&component).unwrap_err();
    assert!(matches!(refused, LoadError::NoKind { .. }), "{refused}");
    let options =
        EngineOptions { worlds: Worlds::default().with::<Forecaster>(), ..EngineOptions::default() };
    let refused = Engine::new(options).unwrap().load(&component).unwrap_err();
    assert!(refused.to_string().contains("toy:weather/dice@0.1.0"), "{refused}");
}

#[tokio::test]
async fn it_is_asked_what_its_kind_is_asked_and_its_capability_answers_as_the_policy_grants() {
    let place = Place::with(POLICY, None).unwrap();
    let (first, second) = (items(&place.judge(), 5).await, items(&place.judge(), 5).await);
    assert!(first > 1000 + 7 + 5, "tick, ahead and a loaded roll: {first}");
    assert_ne!(first, second, "each roll is another");
}

#[tokio::test]
async fn what_no_honest_plugin_says_is_refused_by_its_kind() {
    let place = Place::with(POLICY, None).unwrap();
    place.write(&a_forecaster("1.1.0", 2_000_000, &[]));
    place.library.refresh().unwrap();
    let error = place.judge().asked(question(5)).await.unwrap_err();
    assert!(error.why.contains("at most 1000000"), "{error}");
}

#[tokio::test]
async fn a_question_of_another_kind_is_an_error_of_the_call() {
    let place = Place::with(POLICY, None).unwrap();
    let error = place.judge().asked(CallInput::List).await.unwrap_err();
    assert!(error.why.contains("it is a forecaster"), "{error}");
}

#[tokio::test]
async fn a_call_is_recorded_with_what_the_capability_answered_and_replays_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let options = RecordingsOptions { which: Which::All, ..RecordingsOptions::default() };
    let recordings = Arc::new(Recordings::start(directory.path(), options).unwrap());
    let place = Place::with(POLICY, Some(recordings.clone())).unwrap();
    let said = items(&place.judge(), 5).await;
    assert!(recordings.settle(Duration::from_secs(20)));
    let RecordedCall { altered, masked, call, .. } = read(directory.path()).remove(0);
    assert_eq!((altered, masked, call.kind), (false, 0, Forecaster::KIND));
    assert_eq!((&*call.session, call.tick), ("orders", 7));
    assert_eq!(call.said, Ok(Said::Other(json!({ "items": said }))));
    let rolled = said - 7 - 5;
    assert_eq!((&call.others[0].question, &call.others[0].answer), (&json!({ "sides": 6 }), &json!(rolled)));

    let plugin = Arc::new(engine(None).load(&a_forecaster("1.0.0", 0, &[GOOD_CASE])).unwrap());
    assert_eq!(plugin.id(), &call.by);
    let offline = PluginJudge::offline(plugin, &call.used, call.generation).unwrap();
    let (again, cost) = offline.again(&call.asked, Recorded { others: &call.others, ..Recorded::default() });
    assert!(same(&again, &call.said), "{again:?}");
    assert_eq!(cost.fuel, call.cost.fuel);
    let (otherwise, _) = offline.again(&call.asked, Recorded::default());
    let why = otherwise.unwrap_err();
    assert!(why.contains("this question to dice is not in the recording"), "{why}");
}

#[tokio::test]
async fn a_newer_version_serves_after_a_reload_and_one_that_fails_its_golden_case_does_not() {
    let place = Place::with(POLICY, None).unwrap();
    let wrong = a_forecaster("2.0.0", 1, &[GOOD_CASE]);
    place.write(&wrong);
    place.library.refresh().unwrap();
    assert_eq!(&*place.judge().plugin().id().version, "1.0.0");
    let troubles = place.library.troubles();
    let trouble = troubles.iter().find(|trouble| matches!(&trouble.subject, Subject::Plugin(_))).unwrap();
    assert!(
        trouble.error.contains("the dice are added") && trouble.error.contains("\"items\":9"),
        "{trouble:?}"
    );

    place.write(&a_forecaster("2.0.1", 0, &[GOOD_CASE]));
    let reload = place.library.refresh().unwrap();
    assert_eq!(reload.generation, Some(2));
    assert_eq!(&*place.judge().plugin().id().version, "2.0.1");
    assert_eq!(place.library.status()[0].kind, Some(Forecaster::KIND));
    assert!(place.library.troubles().is_empty());
}

#[test]
fn a_case_without_a_question_says_what_it_lacks() {
    let case = r#"{ "about": "nothing is asked", "expect": { "answer": 1 } }"#;
    let plugin = Arc::new(engine(None).load(&a_forecaster("1.0.0", 0, &[case])).unwrap());
    let why = plugin.check_cases().unwrap_err().to_string();
    assert!(why.contains("lacks `question`, which a forecaster is asked about"), "{why}");
}

#[test]
fn a_policy_is_told_at_its_line_what_it_grants_or_names_wrongly() {
    let says = |policy: &str| Place::with(policy, None).err().unwrap();
    let ungranted = POLICY.replace("{ others: { dice: { plus: 1000 } } }", "{}");
    let said = says(&ungranted);
    assert!(said.contains("main.yaml:6:") && said.contains("grants.others.dice"), "{said}");
    let unknown = POLICY.replace("{ dice: { plus: 1000 } }", "{ dice: {}, cards: {} }");
    let said = says(&unknown);
    assert!(said.contains("main.yaml:7:") && said.contains("no capability \"cards\""), "{said}");
    let built_in = POLICY.replace("{ dice: { plus: 1000 } }", "{ dice: {}, http: {} }");
    assert!(says(&built_in).contains("no capability \"http\" that is granted here"));
    let of_the_loop = POLICY.replace("    forecaster:", "    heuristic:");
    let said = says(&of_the_loop);
    assert!(said.contains("name it under `judges.heuristics`"), "{said}");
    let another = POLICY.replace("    forecaster:", "    weather-frog:");
    let said = says(&another);
    assert!(said.contains("\"forecaster\" is a forecaster, not a weather-frog"), "{said}");
    let misplaced = "name: main\njudges: { heuristics: [{ plugin: forecaster }] }\n";
    let said = says(misplaced);
    assert!(said.contains("name it under `judges.others.forecaster`"), "{said}");
}

#[test]
fn what_is_not_granted_is_not_linked() {
    let plugin = Arc::new(engine(None).load(&a_forecaster("1.0.0", 0, &[])).unwrap());
    let used = PluginUse {
        plugin: "forecaster".to_owned(),
        settings: Default::default(),
        limits: Limits::default(),
        grants: Default::default(),
        on_failure: Default::default(),
    };
    let refused = PluginJudge::new(plugin, &used, 1).unwrap_err();
    assert!(matches!(&refused, LoadError::NotGranted { grant: "dice", .. }), "{refused}");
}
