//! Asks a language model for one action, and believes nothing that it cannot check: what the model sees of the pipeline is
//! quoted and bounded, and what it names and cites is resolved before it is a decision.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

mod answer;
mod form;
mod incident;
mod numbers;
mod prompt;
mod quoted;
mod relevance;
mod template;
mod words;

use flyball_plugin::About;
use flyball_plugin::decider::Failure;
use flyball_plugin::json::{Map, Value};
use flyball_plugin::llm;
use flyball_plugin::prelude::*;
use flyball_plugin::settings::Fault;

use answer::{Answer, Ground};
use incident::{Asking, Memory};
use prompt::{BYTES_A_TOKEN, Prompt};
use template::Template;

/// The seed's system prompt, in this contract's words.
const SYSTEM: &str = include_str!("system.txt");

/// The seed's user prompt, with findings and what was learned.
const USER: &str = include_str!("user.txt");

/// What the answer's form takes at most beside names, in tokens; so much of a prompt is never the templates'.
const FORM_TOKENS: usize = 1_200;

flyball_plugin::settings! {
    /// What is asked, how often, and what an answer must be worth.
    pub struct Own {
        /// What the model is to be and to keep to: text with placeholders for sections, as `user`.
        system: String = SYSTEM.to_owned();
        /// What it is asked: text with placeholders, each of which stands for a whole section (`{{node_metrics}}`).
        user: String = USER.to_owned();
        /// The longest question, its form of the answer included, in tokens of four bytes.
        prompt_tokens: u32 = 6_000, in 1_500..=200_000;
        /// The longest answer, in tokens; the grant's `limits.output_tokens` bounds it, too.
        answer_tokens: u32 = 1_000, in 100..=100_000;
        /// The longest quoted text of the pipeline, in characters.
        text_limit: u32 = 300, in 20..=10_000;
        /// An answer of less confidence is not followed.
        min_confidence: f64 = 0.5, in 0.0..=1.0;
        /// Questions in one incident, repairs included.
        questions_per_incident: u32 = 3, in 1..=1_000;
        /// Questions in any hour of a session, repairs included.
        questions_per_hour: u32 = 9, in 1..=1_000;
        /// Between two questions in one incident, in milliseconds.
        again_ms: f64 = 30_000.0, in 0.0..=86_400_000.0;
        /// Without a finding about the same nodes for so long, in milliseconds, the next one is a new incident.
        quiet_ms: f64 = 600_000.0, in 0.0..=86_400_000.0;
    }
}

/// A decider that asks a language model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LlmDecider {
    /// Its settings.
    pub own: Own,
}

impl Settings for LlmDecider {
    fn schema() -> Value {
        Own::schema()
    }

    fn load() -> Self {
        Self { own: Own::load() }
    }

    fn check(given: &Map<String, Value>, faults: &mut Vec<Fault>) {
        Own::check(given, faults);
        let text = |key: &str, default| given.get(key).map_or(Some(default), Value::as_str);
        let mut bytes = 0;
        let mut asked: Vec<&str> = Vec::new();
        for (key, default) in [("system", SYSTEM), ("user", USER)] {
            let Some(text) = text(key, default) else { continue };
            let mut fault = |message| faults.push(Fault { path: format!("/{key}"), message });
            match Template::read(text) {
                Ok(template) => {
                    if let Some(twice) = template.sections().find(|section| asked.contains(section)) {
                        fault(format!("`{twice}` is in `system` already"));
                    }
                    asked.extend(template.sections());
                    bytes += template.bytes();
                }
                Err(why) => fault(why),
            }
        }
        let most = match given.get("prompt_tokens") {
            Some(tokens) => tokens.as_f64(),
            None => Some(f64::from(Own::default().prompt_tokens)),
        };
        let needed = bytes / BYTES_A_TOKEN + FORM_TOKENS;
        if most.is_some_and(|most| most < needed as f64) {
            let message = format!(
                "the templates and the answer's form take {needed} tokens, which leaves no room for the pipeline"
            );
            faults.push(Fault { path: "/prompt_tokens".to_owned(), message });
        }
    }
}

impl Decider for LlmDecider {
    fn decide(&self, now: &Observation, _past: &Window, situation: &Situation) -> Result<Decision, Failure> {
        if incident::faults(situation).next().is_none() {
            return Err(Failure::Abstain("there is no finding to ask about".to_owned()));
        }
        let asking = Asking { now, situation, own: &self.own, name: Self::NAME };
        let mut memory = Memory::load(now.taken_at(), &self.own);
        let place = memory.incident(&asking);
        let held = memory.holds(place, &asking);
        let said = match held {
            Some(why) => Err(Failure::Abstain(why)),
            None => self.asked(&asking, &mut memory, place),
        };
        let unkept = |why| Failure::Abstain(format!("it cannot be kept that the model was asked: {why}"));
        memory.keep().map_err(unkept)?;
        said
    }
}

impl LlmDecider {
    fn asked(&self, asking: &Asking, memory: &mut Memory, place: usize) -> Result<Decision, Failure> {
        let last = memory.last(place, asking);
        let prompt = prompt::prompt(self, asking.now, asking.situation, &last).map_err(Failure::Abstain)?;
        let answer = self.answer(&prompt, asking, memory, place)?;
        let ground = Ground { now: asking.now, situation: asking.situation };
        let decision = answer.decision(&ground).map_err(|why| Failure::Failed(why.message()))?;
        memory.answered(place, asking, &decision);
        if answer.confidence < self.own.min_confidence {
            let (confidence, least) = (answer.confidence, self.own.min_confidence);
            let kind = decision.proposal.action.kind();
            let why = format!("the model is {confidence} sure of {kind}, and {least} is asked for");
            return Err(Failure::Abstain(why));
        }
        Ok(decision)
    }

    /// What the model answers, at the second try if the first is not of the form.
    fn answer(
        &self,
        prompt: &Prompt,
        asking: &Asking,
        memory: &mut Memory,
        place: usize,
    ) -> Result<Answer, Failure> {
        let form = form::form(&prompt.offer);
        let ask = |user: &str, memory: &mut Memory| {
            let before = memory.ask(place, asking);
            // Kept before it is asked: what cannot be kept would be asked again and again.
            memory.keep().map_err(|why| Failed::Not(format!("nothing can be kept: {why}")))?;
            let question = llm::question(&prompt.system, user, self.own.answer_tokens).form(&form);
            match question.ask() {
                Ok(text) => answer::read(&text).map_err(|why| Failed::Unfit { why, said: Some(text) }),
                Err(llm::Failure::Unfit(why)) => Err(Failed::Unfit { why, said: None }),
                Err(llm::Failure::Failed(why)) => Err(Failed::Silent(why)),
                Err(llm::Failure::Refused(why)) => {
                    memory.not_asked(place, before);
                    Err(Failed::Not(why))
                }
            }
        };
        match ask(&prompt.user, memory) {
            Err(Failed::Unfit { why, said }) if memory.allows(place, &self.own) => {
                ask(&self.repair(&prompt.user, &why, said.as_deref()), memory).map_err(Failed::told)
            }
            other => other.map_err(Failed::told),
        }
    }

    /// The question again, with what was wrong.
    fn repair(&self, user: &str, why: &str, said: Option<&str>) -> String {
        let most = self.own.text_limit as usize;
        let said = said.map(|said| format!("\nYou answered: {}", quoted::quoted(said, 4 * most)));
        format!(
            "{user}\n## Your Answer Was Refused\n{}\nWhat is wrong with it: {}\n\nAnswer again, with one JSON object of the form \
             that was asked for and nothing else.\n",
            said.unwrap_or_default(),
            quoted::quoted(why, most)
        )
    }
}

/// Why there is no answer.
enum Failed {
    /// It was not asked.
    Not(String),
    /// It said nothing.
    Silent(String),
    /// It said something else.
    Unfit { why: String, said: Option<String> },
}

impl Failed {
    fn told(self) -> Failure {
        match self {
            Self::Not(why) => Failure::Abstain(format!("the model was not asked: {why}")),
            Self::Silent(why) => Failure::Failed(format!("the model did not answer: {why}")),
            Self::Unfit { why, .. } => {
                let why = quoted::plain(&why, 300);
                Failure::Failed(format!("the model's answer is not of the form that was asked for: {why}"))
            }
        }
    }
}

flyball_plugin::decider!(LlmDecider, wants: {
    "llm": "asks the model that the policy names",
    "state": "keeps what was asked and answered, so that nothing is asked twice",
});

flyball_plugin::cases!(
    "../cases/asked-again.json",
    "../cases/calm.json",
    "../cases/crash-restart.json",
    "../cases/failing-bypass.json",
    "../cases/false-evidence.json",
    "../cases/injected.json",
    "../cases/not-allowed.json",
    "../cases/not-repaired.json",
    "../cases/nothing-changed.json",
    "../cases/pressed-buffer.json",
    "../cases/protected-node.json",
    "../cases/refused.json",
    "../cases/repaired.json",
    "../cases/silent.json",
    "../cases/slow-switch.json",
    "../cases/unknown-node.json",
    "../cases/unresolved-evidence.json",
    "../cases/unsure.json",
    "../cases/wrong-template.json",
);
