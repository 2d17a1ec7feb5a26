//! What must not be written: the values of fields that are called like a secret, in settings, kept state, HTTP and
//! questions to models. Configurations of nodes come here masked already, by the loop's one view of its data plane; what a
//! judge says of a configuration is masked by the type's schema here, as a call is recorded before the loop has heard it.

use std::collections::BTreeMap;

use flyball_model::{
    Action, GraphSpec, HttpAnswer, HttpExchange, LlmAnswer, LlmExchange, MASKED, NodeType, Reversal,
    SecretNames, Verdict, is_placeholder, mask_plainly, mask_url,
};
use flyball_ports::{Decided, Said};
use serde_json::Value;

/// Masks values, and counts how many.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    names: SecretNames,
}

impl Mask {
    /// By the usual names and these.
    pub(crate) fn new(more: &[String]) -> Self {
        Self { names: SecretNames::and(more) }
    }

    pub(crate) fn value(&self, value: &mut Value) -> u32 {
        mask_plainly(value, None, &self.names)
    }

    pub(crate) fn settings(&self, settings: &mut BTreeMap<String, Value>) -> u32 {
        let mut all = Value::Object(std::mem::take(settings).into_iter().collect());
        let masked = self.value(&mut all);
        if let Value::Object(all) = all {
            *settings = all.into_iter().collect();
        }
        masked
    }

    pub(crate) fn graph(&self, graph: &mut GraphSpec) -> u32 {
        graph.nodes.iter_mut().map(|node| self.value(&mut node.config)).sum()
    }

    /// By these types' schemas as well.
    pub(crate) fn action(&self, action: &mut Action, types: &[NodeType]) -> u32 {
        match action {
            Action::ReplaceNode { node_type, config: Some(config), .. }
            | Action::InsertNode { node_type, config, .. } => {
                let of = types.iter().find(|of| of.name == *node_type);
                mask_plainly(config, of, &self.names)
            }
            Action::UpdateNodeConfig { patch, .. } => self.value(patch),
            Action::NoOp
            | Action::ReplaceNode { config: None, .. }
            | Action::RemoveNode { .. }
            | Action::BypassNode { .. }
            | Action::SwitchExecutor { .. }
            | Action::RestartProcess { .. }
            | Action::ScaleNode { .. }
            | Action::AdjustBuffering { .. } => 0,
        }
    }

    /// Of values by key.
    pub(crate) fn kept(&self, kept: &mut BTreeMap<String, Vec<u8>>) -> u32 {
        let hidden = kept.iter_mut().filter(|(name, _)| self.names.hides(name));
        hidden.map(|(_, value)| *value = MASKED.into()).count().try_into().unwrap_or(u32::MAX)
    }

    pub(crate) fn said(&self, said: &mut Said, types: &[NodeType]) -> u32 {
        match said {
            Said::Decided(Decided::For(decision)) => self.action(&mut decision.proposal.action, types),
            Said::Verdict(Verdict::Amend(amendment)) => self.action(&mut amendment.action, types),
            Said::Reversal(Reversal::Reversible { actions }) => {
                actions.iter_mut().map(|action| self.action(action, types)).sum()
            }
            Said::Other(answer) => self.value(answer),
            _ => 0,
        }
    }

    pub(crate) fn exchange(&self, exchange: &mut HttpExchange) -> u32 {
        let HttpExchange { url, headers, body, answer, .. } = exchange;
        let mut masked = self.url(url) + self.headers(headers) + self.body(body);
        if let HttpAnswer::Answered { headers, body, .. } = answer {
            masked += self.headers(headers) + self.body(body);
        }
        masked
    }

    /// A text that holds what is called like a secret as JSON does is masked there, and else as it is.
    pub(crate) fn question(&self, exchange: &mut LlmExchange) -> u32 {
        let LlmExchange { answer, wire, .. } = exchange;
        let mut masked = wire.as_mut().map_or(0, |wire| self.json(wire));
        if let LlmAnswer::Answered(text) = answer {
            masked += self.json(text);
        }
        masked
    }

    fn json(&self, text: &mut String) -> u32 {
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return 0 };
        let masked = self.value(&mut value);
        if masked > 0 {
            *text = value.to_string();
        }
        masked
    }

    fn headers(&self, headers: &mut [(String, String)]) -> u32 {
        let hidden = headers.iter_mut().filter(|(name, _)| self.names.hides(name));
        hidden.map(|(_, value)| u32::from(mask_text(value))).sum()
    }

    /// A body that is JSON is written anew only where something in it is masked.
    fn body(&self, body: &mut Vec<u8>) -> u32 {
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return 0 };
        let masked = self.value(&mut value);
        if masked > 0 {
            *body = value.to_string().into_bytes();
        }
        masked
    }

    /// A parameter of a query, and a password before the host.
    fn url(&self, url: &mut String) -> u32 {
        let masked = mask_url(url, &self.names, MASKED);
        let hidden = masked.is_some();
        if let Some(masked) = masked {
            *url = masked;
        }
        u32::from(hidden)
    }
}

/// What holds nothing but a placeholder of the host's holds no secret.
fn mask_text(text: &mut String) -> bool {
    let hidden = !text.is_empty() && !is_placeholder(text);
    if hidden {
        *text = MASKED.to_owned();
    }
    hidden
}
