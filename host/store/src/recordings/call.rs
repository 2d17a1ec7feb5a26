//! One call as a row, and back.

use std::sync::Arc;

use flyball_model::{
    Action, ActionKind, Exchange, Finding, HttpExchange, Learned, LlmExchange, NodeType, PastAction,
    Proposal, Rules,
};
use flyball_ports::{CallInput, CallRecord, ItemBytes, Situation};
use rusqlite::{Connection, Row, named_params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mask::Mask;
use super::packed::{Digest, digest, hex, packed, squeezed};
use super::parts::{Batch, Part, Parts, Unwritable};
use crate::rows::{int, uint};

/// What a judge was asked, without what calls share.
#[derive(Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way to or from a row")]
pub(crate) enum Question {
    Assess,
    List,
    Decide(Told),
    Review { proposal: Proposal, decided_by: String, told: Told },
    Reverse(Action),
    Process(Vec<ItemBytes>),
    Other(Value),
}

/// A situation, without what calls share.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) findings: Vec<Finding>,
    pub(crate) allowed: Vec<ActionKind>,
    pub(crate) past: Vec<PastAction>,
    pub(crate) rules: Rules,
    #[serde(default)]
    pub(crate) learned: Vec<Learned>,
}

/// What a call asked of the world outside.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Outside {
    /// As all of it was written once.
    Servers(Vec<HttpExchange>),
    Models {
        http: Vec<HttpExchange>,
        llm: Vec<LlmExchange>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<Exchange>,
    },
}

impl Outside {
    fn of(http: Vec<HttpExchange>, llm: Vec<LlmExchange>, others: Vec<Exchange>) -> Self {
        if llm.is_empty() && others.is_empty() {
            Self::Servers(http)
        } else {
            Self::Models { http, llm, others }
        }
    }

    pub(crate) fn all(self) -> (Vec<HttpExchange>, Vec<LlmExchange>, Vec<Exchange>) {
        match self {
            Self::Servers(http) => (http, Vec::new(), Vec::new()),
            Self::Models { http, llm, others } => (http, llm, others),
        }
    }
}

/// One call; the shared parts of it are numbers of other rows.
#[derive(Debug, Serialize)]
pub(crate) struct CallRow {
    pub(crate) written: u64,
    pub(crate) session: String,
    pub(crate) tick: u64,
    pub(crate) at: u64,
    pub(crate) generation: u64,
    pub(crate) plugin: String,
    pub(crate) version: String,
    pub(crate) component: String,
    pub(crate) kind: String,
    pub(crate) contract: String,
    pub(crate) settings: String,
    pub(crate) parts: [Option<i64>; PARTS.len()],
    pub(crate) asked: Vec<u8>,
    pub(crate) http: Vec<u8>,
    pub(crate) said: Vec<u8>,
    pub(crate) fuel: u64,
    pub(crate) cost: Vec<u8>,
    pub(crate) masked: u32,
}

/// The columns that are numbers of parts.
pub(crate) const PARTS: [&str; 7] = ["used", "now", "past", "graph", "after", "types", "kept"];

/// The columns that [`CallRow::read`] reads.
pub(crate) const COLUMNS: &str = "id, written, session, tick, at, generation, plugin, version, component, kind, contract, \
     settings, used, now, past, graph, after, types, kept, asked, http, said, fuel, cost, masked, seal";

impl CallRow {
    /// Masked, with its shared parts written.
    pub(crate) fn of(
        parts: &mut Parts,
        batch: &Batch<'_>,
        written: u64,
        mut call: CallRecord,
    ) -> Result<(Self, Digest), Unwritable> {
        let all = shared(parts, batch, &call)?;
        let mask = parts.mask.clone();
        let types = call.asked.situation().map(|situation| Arc::clone(&situation.node_types));
        let types = types.unwrap_or_else(|| Arc::new([]));
        let mut masked: u32 = all.iter().flatten().map(|part| part.masked).sum();
        masked += hide(&mask, &types, &mut call);
        let mut settings = call.used.settings.clone();
        mask.settings(&mut settings);
        let CallRecord {
            by,
            kind,
            contract,
            generation,
            session,
            tick,
            at,
            asked,
            http,
            llm,
            others,
            said,
            cost,
            ..
        } = call;
        let asked = question(asked, &mut |action: &mut Action| masked += mask.action(action, &types));
        let row = Self {
            written,
            session: session.to_string(),
            tick,
            at,
            generation,
            plugin: by.name.to_string(),
            version: by.version.to_string(),
            component: by.digest.to_string(),
            kind: kind.name().to_owned(),
            contract: contract.into_owned(),
            settings: hex(&digest(&packed(&settings)?)),
            parts: all.map(|part| part.map(|part| part.id)),
            asked: squeezed(&packed(&asked)?)?,
            http: squeezed(&packed(&Outside::of(http, llm, others))?)?,
            said: squeezed(&packed(&said)?)?,
            fuel: cost.fuel,
            cost: packed(&cost)?,
            masked,
        };
        let seal = row.seal(&all.map(|part: Option<Part>| part.map(|part| part.digest)))?;
        Ok((row, seal))
    }

    /// Over everything in it and in its parts: whether it was changed since can be seen.
    pub(crate) fn seal(&self, parts: &[Option<Digest>]) -> Result<Digest, rmp_serde::encode::Error> {
        Ok(digest(&packed(&(self, parts))?))
    }

    /// Bytes, without the parts.
    pub(crate) fn size(&self) -> usize {
        self.asked.len() + self.http.len() + self.said.len() + self.cost.len()
    }

    pub(crate) fn insert(&self, batch: &Batch<'_>, seal: Digest) -> rusqlite::Result<()> {
        let [used, now, past, graph, after, types, kept] = self.parts;
        batch.added.set(batch.added.get().saturating_add(self.size()));
        insert_into(batch.db)?.execute(named_params! {
            ":batch": batch.number,
            ":written": int(self.written),
            ":session": self.session,
            ":tick": int(self.tick),
            ":at": int(self.at),
            ":generation": int(self.generation),
            ":plugin": self.plugin,
            ":version": self.version,
            ":component": self.component,
            ":kind": self.kind,
            ":contract": self.contract,
            ":settings": self.settings,
            ":used": used, ":now": now, ":past": past, ":graph": graph, ":after": after, ":types": types, ":kept": kept,
            ":asked": self.asked,
            ":http": self.http,
            ":said": self.said,
            ":fuel": int(self.fuel),
            ":cost": self.cost,
            ":masked": self.masked,
            ":seal": seal,
        })?;
        Ok(())
    }

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut parts = [None; PARTS.len()];
        for (part, column) in parts.iter_mut().zip(PARTS) {
            *part = row.get(column)?;
        }
        Ok(Self {
            written: uint(row, "written")?,
            session: row.get("session")?,
            tick: uint(row, "tick")?,
            at: uint(row, "at")?,
            generation: uint(row, "generation")?,
            plugin: row.get("plugin")?,
            version: row.get("version")?,
            component: row.get("component")?,
            kind: row.get("kind")?,
            contract: row.get("contract")?,
            settings: row.get("settings")?,
            parts,
            asked: row.get("asked")?,
            http: row.get("http")?,
            said: row.get("said")?,
            fuel: uint(row, "fuel")?,
            cost: row.get("cost")?,
            masked: row.get("masked")?,
        })
    }
}

fn insert_into(db: &Connection) -> rusqlite::Result<rusqlite::CachedStatement<'_>> {
    db.prepare_cached(
        "INSERT INTO calls (batch, written, session, tick, at, generation, plugin, version, component, kind, contract,
            settings, used, now, past, graph, after, types, kept, asked, http, said, fuel, cost, masked, seal)
         VALUES (:batch, :written, :session, :tick, :at, :generation, :plugin, :version, :component, :kind, :contract,
            :settings, :used, :now, :past, :graph, :after, :types, :kept, :asked, :http, :said, :fuel, :cost, :masked,
            :seal)",
    )
}

/// What calls share, written, in the order of [`PARTS`].
fn shared(
    parts: &mut Parts,
    batch: &Batch<'_>,
    call: &CallRecord,
) -> Result<[Option<Part>; PARTS.len()], Unwritable> {
    let (sight, situation) = (call.asked.sight(), call.asked.situation());
    let now = sight.map(|sight| parts.observation(batch, &sight.now)).transpose()?;
    let past = sight.map(|sight| parts.window(batch, &sight.past)).transpose()?;
    let types = situation.map(|situation| parts.types(batch, &situation.node_types)).transpose()?;
    let (graph, after) = match &call.asked {
        CallInput::Reverse { before, after, .. } => {
            (Some(parts.graph(batch, before)?), Some(parts.graph(batch, after)?))
        }
        _ => (situation.map(|situation| parts.graph(batch, &situation.graph)).transpose()?, None),
    };
    let kept = call.kept.as_ref().map(|kept| parts.kept(batch, kept)).transpose()?;
    let used = Some(parts.used(batch, &call.used)?);
    Ok([used, now, past, graph, after, types, kept])
}

/// Masks what is this call's alone, but for the actions that it was asked about.
fn hide(mask: &Mask, types: &[NodeType], call: &mut CallRecord) -> u32 {
    let mut masked = call.http.iter_mut().map(|exchange| mask.exchange(exchange)).sum::<u32>();
    masked += call.llm.iter_mut().map(|exchange| mask.question(exchange)).sum::<u32>();
    for exchange in &mut call.others {
        masked += mask.value(&mut exchange.question) + mask.value(&mut exchange.answer);
    }
    masked += call.said.as_mut().map_or(0, |said| mask.said(said, types));
    if let CallInput::Other { question, .. } = &mut call.asked {
        masked += mask.value(question);
    }
    masked
}

fn question(asked: CallInput, hide: &mut impl FnMut(&mut Action)) -> Question {
    match asked {
        CallInput::Assess(_) => Question::Assess,
        CallInput::List => Question::List,
        CallInput::Decide(_, situation) => Question::Decide(told(situation, hide)),
        CallInput::Review { mut proposal, decided_by, situation, .. } => {
            hide(&mut proposal.action);
            Question::Review { proposal, decided_by, told: told(situation, hide) }
        }
        CallInput::Reverse { mut action, .. } => {
            hide(&mut action);
            Question::Reverse(action)
        }
        CallInput::Process(items) => Question::Process(items.to_vec()),
        CallInput::Other { question, .. } => Question::Other(question),
    }
}

fn told(situation: Situation, hide: &mut impl FnMut(&mut Action)) -> Told {
    let Situation { findings, allowed, mut past, learned, rules, .. } = situation;
    past.iter_mut().for_each(|past| hide(&mut past.proposal.action));
    Told { findings, allowed, past, rules, learned }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use flyball_model::LlmAnswer;

    use super::super::packed::unpacked;
    use super::*;

    #[test]
    fn what_was_asked_of_servers_and_models_before_there_were_other_capabilities_is_still_read() {
        #[derive(Serialize)]
        struct Before {
            http: Vec<HttpExchange>,
            llm: Vec<LlmExchange>,
        }
        let question = LlmExchange {
            system: "you decide".to_owned(),
            user: "what?".to_owned(),
            schema: None,
            max_tokens: 10,
            answer: LlmAnswer::Answered("this".to_owned()),
            used: Default::default(),
            wire: None,
        };
        let before = Before { http: Vec::new(), llm: vec![question.clone()] };
        let read: Outside = unpacked(&packed(&before).unwrap()).unwrap();
        assert_eq!(read.all(), (Vec::new(), vec![question.clone()], Vec::new()));
        let now = Outside::of(Vec::new(), vec![question], Vec::new());
        assert_eq!(
            packed(&now).unwrap(),
            packed(&before).unwrap(),
            "where nothing is new, the bytes are the same"
        );
    }
}
