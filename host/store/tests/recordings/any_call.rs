use std::collections::BTreeMap;
use std::sync::Arc;

use flyball_model::{
    Action, Amendment, Assessment, Check, Decision, Evidence, Exchange, Executor, Finding, GraphMetrics,
    History, HttpAnswer, HttpExchange, Metrics, NodeColumns, NodeOffer, NodeStatus, NodeType, Observation,
    PastAction, Proposal, Reason, Reversal, SeenError, Severity, Side, Trend, Verdict,
};
use flyball_ports::{CallInput, CallRecord, Decided, Recorder, Said, Sight};
use flyball_store::{CallFilter, RecordingsReader, same};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::calls::{SOON, all, call, finding, graph, read, situation, start};

fn number() -> impl Strategy<Value = f64> {
    let special = prop::sample::select(vec![
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        f64::MIN_POSITIVE / 2.0,
        0.1 + 0.2,
        1e-7,
    ]);
    prop_oneof![special, any::<u64>().prop_map(f64::from_bits)]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-e]{0,6}", ".{0,12}"]
}

fn any_json() -> impl Strategy<Value = Value> {
    let finite = number().prop_filter_map("finite", serde_json::Number::from_f64).prop_map(Value::Number);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        finite,
        name().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-c]{1,3}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn observation()(
        tick in any::<u32>(),
        ids in vec(name(), 0..4),
        columns in vec((name(), vec(number(), 4)), 0..4),
        totals in (number(), number(), option::of(0..4u32)),
        others in vec((name(), number()), 0..3),
        errors in vec((any::<u32>(), option::of(0..4u32), name()), 0..3),
    ) -> Observation {
        let ids: Arc<[Arc<str>]> = ids.into_iter().map(Arc::from).collect();
        let mut metrics = Metrics::default();
        for (name, values) in columns {
            metrics.set(name, values[..ids.len()].to_vec());
        }
        let nodes = NodeColumns {
            types: ids.iter().cloned().collect(),
            executors: vec![Executor::Wasm; ids.len()],
            statuses: vec![NodeStatus::Degraded; ids.len()],
            latency_trends: vec![Trend::Falling; ids.len()],
            last_errors: ids.iter().map(|id| (!id.is_empty()).then(|| Arc::clone(id))).collect(),
            ids,
            metrics,
        };
        let (end_to_end_latency_ms, throughput_per_second, bottleneck) = totals;
        Observation {
            session: "orders".into(),
            tick: u64::from(tick) + 1,
            taken_at: 1_700_000_000_000,
            nodes,
            graph: GraphMetrics {
                end_to_end_latency_ms, throughput_per_second, bottleneck, critical_path: vec![0], others,
            },
            edges: Arc::from([(0, 1)]),
            errors: errors.into_iter()
                .map(|(at, node, message)| SeenError { at: at.into(), node, message: message.into() })
                .collect(),
        }
    }
}

prop_compose! {
    fn some_finding()(
        code in name(),
        target in option::of(name()),
        values in vec((option::of(number()), option::of(number())), 0..3),
    ) -> Finding {
        let rests_on = values.into_iter().map(|(value, limit)| Evidence {
            node: target.clone(), metric: None, value, limit, note: code.clone(),
        });
        Finding { severity: Severity::Info, message: code.clone(), rests_on: rests_on.collect(), code, target }
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::NoOp),
        (name(), option::of(any_json())).prop_map(|(node, config)| Action::ReplaceNode {
            node_type: node.clone(),
            node,
            config
        }),
        (name(), any_json()).prop_map(|(node, patch)| Action::UpdateNodeConfig { node, patch }),
        (name(), any_json()).prop_map(|(id, config)| Action::InsertNode {
            node_type: "tokenise".to_owned(),
            config,
            executor: Some(Executor::Wasm),
            after: vec![id.clone()],
            before: Vec::new(),
            id
        }),
    ]
}

fn proposal() -> impl Strategy<Value = Proposal> {
    (action(), name(), option::of(number())).prop_map(|(action, reason, confidence)| Proposal {
        action,
        reason,
        confidence,
        rests_on: Vec::new(),
    })
}

fn node_type() -> impl Strategy<Value = NodeType> {
    (name(), option::of(any_json()), option::of(number())).prop_map(
        |(name, config_schema, relative_speed)| NodeType {
            summary: name.clone(),
            provides: vec![name.clone()],
            offers: vec![NodeOffer { executor: Executor::Native, relative_speed, relative_cost: None }],
            config_schema,
            reach: flyball_model::Reach::Pure,
            name,
        },
    )
}

fn check() -> impl Strategy<Value = Check> {
    (name(), option::of(name()), option::of(number()), -1e9..1e9).prop_map(|(code, node, value, limit)| {
        Check {
            metric: code.clone(),
            code,
            node: node.map(Into::into),
            value,
            limit,
            bad: if limit > 0.0 { Side::Above } else { Side::Below },
            note: String::new(),
        }
    })
}

fn said() -> impl Strategy<Value = Result<Said, String>> {
    let reason = |code: String| Reason { code, message: "no".to_owned(), hint: None, rests_on: Vec::new() };
    prop_oneof![
        name().prop_map(Err),
        (vec(some_finding(), 0..3), vec(check(), 0..3)).prop_map(|(findings, checks)| Ok(Assessment {
            findings,
            checks
        }
        .into())),
        vec(node_type(), 0..3).prop_map(|types| Ok(types.into())),
        proposal().prop_map(|proposal| Ok(Decided::For(Decision {
            analysis: String::new(),
            issues: vec!["one".to_owned()],
            proposal
        })
        .into())),
        name().prop_map(|why| Ok(Decided::Abstains(why).into())),
        (action(), name()).prop_map(move |(action, code)| Ok(Verdict::Amend(Amendment {
            action,
            reason: reason(code)
        })
        .into())),
        vec(action(), 0..3).prop_map(|actions| Ok(Reversal::Reversible { actions }.into())),
        vec(vec(vec(any::<u8>(), 0..9), 0..3).prop_map(Ok), 0..3)
            .prop_map(|items| Ok(Said::Processed(items))),
        any_json().prop_map(|answer| Ok(Said::Other(answer))),
    ]
}

fn asked() -> impl Strategy<Value = CallInput> {
    let sight = (observation(), vec(observation(), 0..4)).prop_map(|(now, before)| {
        let mut past = History::new(before.len());
        before.into_iter().for_each(|seen| past.push(Arc::new(seen)));
        Sight { now: Arc::new(now), past: Arc::new(past) }
    });
    let situation =
        (vec(some_finding(), 0..3), any_json(), vec(node_type(), 0..3), vec(proposal(), 0..2), number())
            .prop_map(|(findings, config, types, past, max_latency_ms)| {
                let mut situation = situation(graph(config));
                situation.findings = findings;
                situation.node_types = types.into();
                situation.rules.max_latency_ms = Some(max_latency_ms);
                situation.past = past
                    .into_iter()
                    .map(|proposal| PastAction {
                        at: 7,
                        proposal,
                        outcome: flyball_model::Outcome::Verified,
                        decided_by: "rules".to_owned(),
                    })
                    .collect();
                situation
            });
    (0..8, sight, situation, proposal(), action(), any_json()).prop_map(
        |(which, sight, situation, proposal, action, config)| match which {
            0 => CallInput::Assess(sight),
            1 => CallInput::List,
            2 => CallInput::Decide(sight, situation),
            3 => CallInput::Review { sight, proposal, decided_by: "rules".to_owned(), situation },
            4 => CallInput::Process(Arc::new([(7, config.to_string().into_bytes())])),
            5 => CallInput::Other { sight: Some(sight), question: config },
            6 => CallInput::Other { sight: None, question: config },
            _ => {
                CallInput::Reverse { action, before: graph(config).into(), after: graph(Value::Null).into() }
            }
        },
    )
}

fn any_call() -> impl Strategy<Value = CallRecord> {
    let bytes = || vec(any::<u8>(), 0..20);
    (asked(), said(), option::of(btree_map("[a-e]{1,4}", bytes(), 0..3)), vec(bytes(), 0..2)).prop_map(
        |(asked, said, kept, bodies)| CallRecord {
            kept: kept.map(Arc::new),
            http: bodies
                .into_iter()
                .map(|body| HttpExchange {
                    method: "GET".to_owned(),
                    url: "https://example.com/types?page=2".to_owned(),
                    headers: vec![("accept".to_owned(), "*/*".to_owned())],
                    body: body.clone(),
                    answer: HttpAnswer::Answered { status: 200, headers: Vec::new(), body },
                })
                .collect(),
            others: vec![Exchange {
                capability: "dice".to_owned(),
                question: json!({ "sides": 6 }),
                answer: json!([1, null, 0.5]),
            }],
            ..call(asked, said)
        },
    )
}

/// The numbers of a sight, as bits: NaN is not equal to itself, and prints as any other NaN.
fn bits(sight: &Sight) -> Vec<u64> {
    let mut bits = Vec::new();
    for seen in std::iter::once(&sight.now).chain(sight.past.newest(sight.past.len())) {
        for name in seen.nodes.metrics.names() {
            bits.extend(seen.nodes.metrics.get(name).unwrap().iter().map(|value| value.to_bits()));
        }
        bits.push(seen.graph.end_to_end_latency_ms.to_bits());
        bits.push(seen.graph.throughput_per_second.to_bits());
        bits.extend(seen.graph.others.iter().map(|(_, value)| value.to_bits()));
    }
    bits
}

/// What has numbers in it that may be none, and compares bit for bit as an answer does.
fn as_answers(asked: &CallInput) -> Vec<Result<Said, String>> {
    let decided = |proposal: &Proposal| {
        let proposal = proposal.clone();
        Ok(Decided::For(Decision { analysis: String::new(), issues: Vec::new(), proposal }).into())
    };
    let mut answers = Vec::new();
    if let Some(situation) = asked.situation() {
        answers.push(Ok(Assessment::from(situation.findings.clone()).into()));
        answers.push(Ok(situation.node_types.to_vec().into()));
        answers.extend(situation.past.iter().map(|past| decided(&past.proposal)));
        let mut latency = finding();
        latency.rests_on = vec![Evidence { value: situation.rules.max_latency_ms, ..Evidence::default() }];
        answers.push(Ok(Assessment::from(vec![latency]).into()));
    }
    if let CallInput::Review { proposal, .. } = asked {
        answers.push(decided(proposal));
    }
    answers
}

#[test]
fn any_call_is_read_back_as_it_was_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = start(directory.path(), all());
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let result = runner.run(&any_call(), |call| {
        recordings.record(call.clone());
        prop_assert!(recordings.settle(SOON));
        let reader = RecordingsReader::open(directory.path()).unwrap();
        let ids = reader.ids(&CallFilter { limit: Some(1), ..CallFilter::default() }).unwrap();
        let back = reader.call(ids[0]).unwrap();
        prop_assert!(!back.altered);
        prop_assert_eq!(back.masked, 0);
        prop_assert_eq!(
            format!("{:?}", back.call.asked.sight().map(bits)),
            format!("{:?}", call.asked.sight().map(bits))
        );
        let (before, after) = (as_answers(&call.asked), as_answers(&back.call.asked));
        prop_assert!(before.iter().zip(&after).all(|(one, other)| same(one, other)));
        prop_assert!(same(&call.said, &back.call.said), "{:?} is not {:?}", back.call.said, call.said);
        // Windows have room for more than they hold; a window that is read has room for just that.
        let whole = |call: &CallRecord| {
            let window: Option<Vec<_>> =
                call.asked.sight().map(|sight| sight.past.newest(sight.past.len()).cloned().collect());
            let kept: Option<BTreeMap<_, _>> = call.kept.as_deref().cloned();
            format!("{:?} {window:?} {kept:?} {:?} {:?} {:?}", call.by, call.asked, call.http, call.cost)
        };
        prop_assert_eq!(whole(&back.call), whole(&call));
        prop_assert_eq!(&back.call.others, &call.others);
        prop_assert_eq!(&*back.call.used, &*call.used);
        prop_assert_eq!(
            (back.call.generation, back.call.tick, back.call.at),
            (call.generation, call.tick, call.at)
        );
        Ok(())
    });
    result.unwrap();
    assert!(read(directory.path()).len() >= 100);
}
