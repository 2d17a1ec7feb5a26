//! A language model beside the demo's rules.

use anyhow::{Result, bail};
use flyball_model::{LlmGrant, Provider, SecretSource};
use serde_json::{Value, json};

use crate::commands::demo::DemoOptions;

/// What the demo does about a model.
pub(crate) enum Beside {
    /// It is asked by this grant.
    Asked(Box<LlmGrant>),
    /// It is not, for this reason.
    NotAsked(String),
}

impl Beside {
    /// What the command line and the environment say.
    pub(crate) fn of(options: &DemoOptions) -> Result<Self> {
        let Some(named) = &options.model else {
            return Ok(Self::NotAsked(
                "Rules decided. To see what a language model would have done beside them: flyball demo --model \
                 anthropic/NAME, with its key in ANTHROPIC_API_KEY, or --model openai/NAME --model-url \
                 http://localhost:11434/v1 for a server of this machine."
                    .to_owned(),
            ));
        };
        let Some((provider, model)) = named.split_once('/').filter(|(_, model)| !model.is_empty()) else {
            bail!("{named:?} names no model; write PROVIDER/NAME, as in anthropic/NAME");
        };
        let provider: Provider = serde_json::from_value(json!(provider)).map_err(|_| {
            anyhow::anyhow!(
                "{provider:?} is no provider that Flyball speaks with; there are anthropic, openai and gemini"
            )
        })?;
        let key = key(provider, options);
        if let Some(variable) = &key
            && std::env::var_os(variable).is_none()
        {
            return Ok(Self::NotAsked(format!(
                "Rules decided, and {model} was not asked, as there is no key in {variable}. Set it, or name another variable \
                 with --model-key."
            )));
        }
        let grant = json!({
            "provider": provider, "model": model, "base_url": options.model_url,
            "key": key.map(SecretSource::Env),
        });
        Ok(Self::Asked(Box::new(serde_json::from_value(grant)?)))
    }

    /// What stands in the demo's policy for it: a decider that is asked and never followed.
    pub(crate) fn shadows(&self) -> Value {
        match self {
            Self::Asked(grant) => json!([{
                "plugin": "llm-decider",
                "limits": { "time_ms": 60_000, "memory_mb": 64 },
                "grants": { "llm": grant, "state": {} },
            }]),
            Self::NotAsked(_) => json!([]),
        }
    }
}

/// The variable that holds the key. A server that is named asks for none, unless a variable is named as well.
fn key(provider: Provider, options: &DemoOptions) -> Option<String> {
    let usual = match provider {
        Provider::Anthropic => "ANTHROPIC_API_KEY",
        Provider::Openai => "OPENAI_API_KEY",
        Provider::Gemini => "GEMINI_API_KEY",
    };
    let usual = options.model_url.is_none().then(|| usual.to_owned());
    options.model_key.clone().or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_nothing_is_asked_and_why_is_said() {
        let options = DemoOptions {
            dir: None,
            model: Some("anthropic/any".to_owned()),
            model_url: None,
            model_key: Some("FLYBALL_TEST_NO_SUCH_KEY".to_owned()),
            quiet: false,
        };
        let Ok(Beside::NotAsked(why)) = Beside::of(&options) else { panic!("it would be asked") };
        assert!(why.contains("there is no key in FLYBALL_TEST_NO_SUCH_KEY"), "{why}");
        let local =
            DemoOptions { model_url: Some("http://localhost:1/v1".to_owned()), model_key: None, ..options };
        assert!(matches!(Beside::of(&local), Ok(Beside::Asked(grant)) if grant.key.is_none()));
    }
}
