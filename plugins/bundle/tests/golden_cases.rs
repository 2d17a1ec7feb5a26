//! Each plugin's golden cases, from its own `cases/`, against its logic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test"
)]

mod golden {
    pub mod told;
}

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flyball_model::{ActionKind, Case, HttpAnswer, HttpExchange, LlmAnswer, LlmExchange};
use flyball_plugin::decider::{Allowance, Failure};
use flyball_plugin::http::{self, Request, Response};
use flyball_plugin::llm::{self, Question};
use flyball_plugin::prelude::*;
use flyball_plugin::settings::check_given;
use flyball_plugin::testing::{with_http, with_llm, with_pipeline, with_settings, with_state};
use golden::told;
use serde_json::Value;

/// Runs every case of a plugin; `run` panics where it does not say what is expected.
fn run_cases<P: Settings>(plugin: &str, run: impl Fn(&P, &Case)) {
    run_files(plugin, |plugin: &P, case, _| run(plugin, case));
}

/// The same, with the file of each case.
fn run_files<P: Settings>(plugin: &str, run: impl Fn(&P, &Case, &Path)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(plugin).join("cases");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("a folder of cases").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{plugin} has no golden cases");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let case: Case =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        println!("{}: {}", file.display(), case.about);
        with_settings(case.settings.clone().into_iter().collect(), || {
            let faults: Vec<String> = check_given::<P>().into_iter().map(|fault| fault.path).collect();
            if let Some(expected) = &case.expect.faults {
                return assert_eq!(&faults, expected, "{}", file.display());
            }
            assert!(faults.is_empty(), "{}: {faults:?}", file.display());
            let node_types = case.node_types.iter().map(told::node_type).collect();
            with_pipeline(told::graph(&case.graph.spec()), node_types, || run(&P::load(), &case, &file));
        });
    }
}

fn now(case: &Case) -> Observation<'static> {
    let mut seen = told::seen(&case.observation);
    let number = |id: &str| seen.nodes.iter().position(|node| node.id == id).map(|index| index as u32);
    // What is seen of a graph follows what is configured.
    let edges = case.graph.edges.iter().filter_map(|(from, to)| number(from).zip(number(to)));
    seen.edges = edges.collect();
    Observation::for_test(seen)
}

fn window(case: &Case) -> Window<'static> {
    Window::for_test(case.window.iter().map(told::seen))
}

#[test]
fn threshold_heuristic_finds_what_its_cases_say() {
    run_cases("threshold-heuristic", |plugin: &threshold_heuristic::Thresholds, case| {
        let now = now(case);
        let said = plugin.assess(&now, &window(case));
        let mut found: Vec<String> = said
            .findings
            .into_iter()
            .map(|finding| {
                let severity = format!("{:?}", finding.severity).to_lowercase();
                let severity = severity.rsplit("::").next().unwrap().to_owned();
                format!("{severity} {} {}", finding.code, finding.target.unwrap_or_default())
            })
            .collect();
        found.sort();
        assert_eq!(Some(&found), case.expect.findings.as_ref(), "{}", case.about);
        let Some(checks) = &case.expect.checks else { return };
        let checked: Vec<String> = said
            .checks
            .iter()
            .map(|check| {
                let node = check.node.and_then(|number| now.node(number)).map(|node| node.id());
                let value = check.value.map(|value| value.to_string());
                let [node, value] = [node, value].map(|text| text.unwrap_or_else(|| "-".to_owned()));
                format!("{} {node} {value} {} {}", check.code, check.limit, check.note).trim_end().to_owned()
            })
            .collect();
        assert_eq!(&checked, checks, "{}", case.about);
    });
}

fn decide<P: Decider>(plugin: &P, case: &Case) {
    let now = now(case);
    let allowance = |kind: &ActionKind| Allowance {
        kind: kind.name().to_owned(),
        summary: kind.summary().to_owned(),
        limits: None,
    };
    let situation = Situation {
        findings: case.findings.iter().map(told::finding).collect(),
        allowed: case.allowed.iter().map(allowance).collect(),
        past: case.past.iter().map(told::past).collect(),
        learned: case.learned.iter().map(told::learned).collect(),
        constraints: told::constraints(case),
    };
    let expected = &case.expect;
    match plugin.decide(&now, &window(case), &situation) {
        Ok(decision) => {
            assert_eq!(
                Some(&decision.proposal.action),
                expected.action.as_ref().map(told::action).as_ref(),
                "{}: {}",
                case.about,
                decision.proposal.reason
            );
            assert!(!decision.proposal.reason.is_empty(), "{}", case.about);
            for evidence in &decision.proposal.rests_on {
                let node = evidence
                    .node
                    .as_ref()
                    .map(|id| now.find(id).expect("evidence cites a node that is seen"));
                let Some(metric) = &evidence.metric else { continue };
                let seen = match node {
                    Some(node) => now.column(metric).map(|column| column[node.index() as usize]),
                    None => now.total(metric),
                };
                assert_eq!(
                    evidence.value,
                    Some(seen.expect("evidence cites a metric that is seen")),
                    "{}",
                    case.about
                );
            }
        }
        Err(Failure::Abstain(_)) if expected.abstains => {}
        Err(Failure::Failed(why)) if expected.failure.as_ref().is_some_and(|part| why.contains(part)) => {}
        said => panic!("{}: {said:?}", case.about),
    }
}

#[test]
fn rule_decider_chooses_what_its_cases_say() {
    run_cases("rule-decider", decide::<rule_decider::RuleDecider>);
}

/// With this set, the questions in cases are written anew, as they are asked.
const RENEW: &str = "FLYBALL_RENEW_CASES";

#[test]
fn llm_decider_asks_and_decides_what_its_cases_say() {
    run_files("llm-decider", |plugin: &llm_decider::LlmDecider, case, file| {
        let asked: Rc<RefCell<Vec<LlmExchange>>> = Rc::default();
        let (heard, mut exchanges) = (Rc::clone(&asked), case.llm.clone().into_iter());
        let answers = move |question: &Question| {
            let exchange = exchanges.next().expect("a question of the case");
            let Question { system, user, schema, max_tokens } = question.clone();
            heard.borrow_mut().push(LlmExchange { system, user, schema, max_tokens, ..exchange.clone() });
            match exchange.answer {
                LlmAnswer::Answered(text) => Ok(text),
                LlmAnswer::Refused(why) => Err(llm::Failure::Refused(why)),
                LlmAnswer::Failed(why) => Err(llm::Failure::Failed(why)),
                LlmAnswer::Unfit(why) => Err(llm::Failure::Unfit(why)),
            }
        };
        let kept = case.kept.iter().map(|(key, value)| (key.clone(), value.clone().into_bytes())).collect();
        with_state(kept, || with_llm(answers, || decide(plugin, case)));
        if std::env::var_os(RENEW).is_some() && !case.llm.is_empty() {
            let mut whole: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            whole["llm"] = serde_json::to_value(&*asked.borrow()).unwrap();
            std::fs::write(file, format!("{whole:#}\n")).unwrap();
        } else {
            assert_eq!(*asked.borrow(), case.llm, "{}: {RENEW}=1 writes the questions anew", case.about);
        }
    });
}

fn review<P: Validator>(plugin: &P, case: &Case) {
    let proposed = Proposed {
        proposal: told::proposal(case.proposed.as_ref().expect("a validator's case proposes something")),
        decided_by: case.decided_by.clone(),
        findings: case.findings.iter().map(told::finding).collect(),
        past: case.past.iter().map(told::past).collect(),
        constraints: told::constraints(case),
    };
    let said = match plugin.review(&now(case), &window(case), &proposed) {
        Verdict::Allow => ("allow", None),
        Verdict::Deny(reason) => ("deny", Some(reason.code)),
        Verdict::Amend(amendment) => ("amend", Some(amendment.reason.code)),
        Verdict::Ask(reason) => ("ask", Some(reason.code)),
    };
    let expected = (case.expect.verdict.as_deref().unwrap_or_default(), case.expect.code.clone());
    assert_eq!(said, expected, "{}", case.about);
}

#[test]
fn mutation_policy_rules_as_its_cases_say() {
    run_cases("mutation-policy", review::<mutation_policy::MutationLevels>);
}

#[test]
fn protected_nodes_rules_as_its_cases_say() {
    run_cases("protected-nodes", review::<protected_nodes::ProtectedNodes>);
}

#[test]
fn no_oscillation_rules_as_its_cases_say() {
    run_cases("no-oscillation", review::<no_oscillation::NoOscillation>);
}

#[test]
fn standard_reverser_reverses_as_its_cases_say() {
    run_cases("standard-reverser", |plugin: &standard_reverser::StandardReverser, case| {
        let applied = case.applied.as_ref().expect("a reverser's case applied something");
        let applied = Applied {
            action: told::action(&applied.action),
            before: told::graph(&applied.before.spec()),
            after: told::graph(&applied.after.spec()),
        };
        match (plugin.reverse(&applied), &case.expect.actions, &case.expect.irreversible) {
            (Ok(said), Some(actions), _) => {
                assert_eq!(said, actions.iter().map(told::action).collect::<Vec<_>>(), "{}", case.about);
            }
            (Err(why), _, Some(irreversible)) => assert!(why.contains(irreversible), "{why}"),
            (said, ..) => panic!("{}: {said:?}", case.about),
        }
    });
}

fn list<P: Catalog>(plugin: &P, case: &Case) {
    match (plugin.list_types(), &case.expect.types, &case.expect.failure) {
        (Ok(said), Some(types), _) => {
            let names: Vec<String> = said.into_iter().map(|it| it.name).collect();
            assert_eq!(&names, types, "{}", case.about);
        }
        (Err(why), _, Some(failure)) => {
            assert!(why.message.contains(failure), "{}: {}", case.about, why.message);
        }
        (said, ..) => panic!("{}: {said:?}", case.about),
    }
}

#[test]
fn static_catalog_lists_what_its_cases_say() {
    run_cases("static-catalog", list::<static_catalog::StaticCatalog>);
}

#[test]
fn http_catalog_lists_what_its_cases_say() {
    run_cases("http-catalog", |plugin: &http_catalog::HttpCatalog, case| {
        let mut exchanges = case.http.clone().into_iter();
        let answers = move |request: &Request| {
            let expected = exchanges.next().expect("a request of the case");
            let Request { method, url, headers, body } = request.clone();
            let made = HttpExchange { method, url, headers, body, answer: expected.answer.clone() };
            assert_eq!(expected.difference(&made), None, "{made:?}");
            match expected.answer {
                HttpAnswer::Answered { status, headers, body } => Ok(Response { status, headers, body }),
                HttpAnswer::Refused(why) => Err(http::Failure::Refused(why)),
                HttpAnswer::Failed(why) => Err(http::Failure::Failed(why)),
            }
        };
        with_http(answers, || list(plugin, case));
    });
}

#[test]
fn tokenise_answers_what_its_cases_say() {
    run_cases("tokenise", |plugin: &tokenise::Tokenise, case| {
        let item = case.item.clone().expect("a node's case has an item");
        let item = serde_json::from_value(item).expect("an item within the limits");
        let said = plugin.process(item).map(|bodies| {
            bodies.iter().map(|body| serde_json::to_value(body).expect("JSON")).collect::<Vec<_>>()
        });
        match (said, &case.expect.bodies, &case.expect.failure) {
            (Ok(said), Some(bodies), _) => assert_eq!(&said, bodies, "{}", case.about),
            (Err(why), _, Some(failure)) => assert!(why.contains(failure), "{why}"),
            (said, ..) => panic!("{}: {said:?}", case.about),
        }
    });
}
