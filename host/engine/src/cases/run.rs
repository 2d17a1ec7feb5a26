//! Asks a plugin its own cases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_model::{Case, CaseAnswer, HttpExchange, LlmExchange, PluginUse};

use super::Placed;
use crate::judge::Recorded;
use crate::worlds::part_of;
use crate::{LoadError, Plugin, PluginJudge, Settings};

/// All cases of a plugin together take no longer.
const LONGEST: Duration = Duration::from_secs(10);

/// What the plugin said to a case, and how what it asked of others differs from what the case has.
struct Heard {
    said: CaseAnswer,
    asked_otherwise: Vec<String>,
}

/// The first case that the plugin does not answer as it should: one is enough for a version not to serve.
pub(crate) fn first_failing(plugin: &Arc<Plugin>, cases: &[Placed]) -> Result<(), LoadError> {
    failing(plugin, cases, 1).into_iter().next().map_or(Ok(()), Err)
}

/// At most so many of the cases that the plugin does not answer as it should, in their order.
pub(crate) fn failing(plugin: &Arc<Plugin>, cases: &[Placed], most: usize) -> Vec<LoadError> {
    let begun = Instant::now();
    let mut failing = Vec::new();
    for Placed { place, case } in cases {
        if failing.len() >= most {
            break;
        }
        if begun.elapsed() > LONGEST {
            failing.push(LoadError::Cases { why: format!("they take longer than {LONGEST:?}") });
            break;
        }
        match answer(plugin, case) {
            Err(LoadError::Cases { why }) => {
                let why = crate::quoted::plain(&format!("{place}: {why}"), 500);
                failing.push(LoadError::Cases { why });
            }
            Err(error) => failing.push(error),
            Ok(Heard { said, asked_otherwise }) if said != case.expect || !asked_otherwise.is_empty() => {
                failing.push(LoadError::Case {
                    place: crate::quoted::plain(place, 200),
                    about: crate::quoted::plain(&case.about, 200),
                    expected: wording(&case.expect),
                    said: wording(&said),
                    asked_otherwise: asked_otherwise
                        .iter()
                        .map(|one| crate::quoted::plain(one, 600))
                        .collect(),
                });
            }
            Ok(_) => {}
        }
    }
    failing
}

/// What the plugin says, in the words of a case.
fn answer(plugin: &Arc<Plugin>, case: &Case) -> Result<Heard, LoadError> {
    let limits = plugin.engine().load_limits();
    let used = PluginUse {
        plugin: plugin.id().name.to_string(),
        settings: case.settings.clone(),
        limits,
        grants: Default::default(),
        on_failure: Default::default(),
    };
    let settings = Arc::new(Settings::from(&used.settings));
    let faults = plugin.asked_of_settings(&settings, limits).map_err(LoadError::Describing)?;
    if !faults.is_empty() {
        let faults = faults.into_iter().map(|fault| fault.pointer).collect();
        return Ok(Heard::alone(CaseAnswer { faults: Some(faults), ..CaseAnswer::default() }));
    }
    let judge = PluginJudge::unbound(Arc::clone(plugin), used);
    let world = plugin.world();
    let asked = (world.of_case)(case).map_err(|what| LoadError::Cases {
        why: format!("{:?} lacks {what}, which a {} is asked about", case.about, world.kind),
    })?;
    let kept = case.kept.iter().map(|(key, value)| (key.clone(), value.clone().into_bytes())).collect();
    let http: Vec<HttpExchange> = case.http.iter().map(|one| one.exchange()).collect();
    let recorded = Recorded { kept: Some(Arc::new(kept)), http: &http, llm: &case.llm, others: &case.others };
    let answer = judge.tried(&asked, recorded);
    let mut asked_otherwise = requests(case, &answer.http);
    asked_otherwise.extend(questions(case, &answer.llm));
    let said = match answer.said {
        Ok(said) => (world.in_case)(said, case),
        Err(error) => failure(error.to_string(), case),
    };
    Ok(Heard { said, asked_otherwise })
}

impl Heard {
    fn alone(said: CaseAnswer) -> Self {
        Self { said, asked_otherwise: Vec::new() }
    }
}

/// The requests that are not those of the case: the plugin was told that there is no answer to them.
fn requests(case: &Case, asked: &[HttpExchange]) -> Vec<String> {
    let mut told = Vec::new();
    for (index, request) in asked.iter().enumerate() {
        let number = index + 1;
        let made = format!("{} {}", request.method, request.url);
        match case.http.get(index) {
            None => told.push(format!("request {number} is not in the case: {made}")),
            Some(expected) => {
                let Some(what) = expected.difference(request) else { continue };
                let here = format!("{} {}", expected.request.method, expected.request.url);
                told.push(match what {
                    "headers" => format!(
                        "request {number}, {made}, has the headers {:?}, and the case wants {:?}",
                        request.headers, expected.request.headers
                    ),
                    "body" => format!(
                        "request {number}, {made}, has the body {:?}, and the case wants {:?}",
                        String::from_utf8_lossy(&request.body),
                        String::from_utf8_lossy(&expected.request.body.0)
                    ),
                    _ => format!("request {number} is {made}, and the case has {here}"),
                });
            }
        }
    }
    told
}

/// The same of questions to models. They are long, so only their number is told.
fn questions(case: &Case, asked: &[LlmExchange]) -> Vec<String> {
    let same = |one: &LlmExchange, other: &LlmExchange| {
        (&one.system, &one.user, &one.schema, one.max_tokens)
            == (&other.system, &other.user, &other.schema, other.max_tokens)
    };
    let differs = |(index, question): (usize, &LlmExchange)| match case.llm.get(index) {
        Some(expected) if same(expected, question) => None,
        Some(_) => Some(format!("question {} to a model is not the case's", index + 1)),
        None => Some(format!("question {} to a model is not in the case", index + 1)),
    };
    asked.iter().enumerate().filter_map(differs).collect()
}

fn failure(why: String, case: &Case) -> CaseAnswer {
    CaseAnswer { failure: Some(part_of(why, case.expect.failure.as_ref())), ..CaseAnswer::default() }
}

fn wording(expected: &CaseAnswer) -> String {
    let text = serde_json::to_string(expected).unwrap_or_else(|error| error.to_string());
    crate::quoted::plain(&text, 400)
}
