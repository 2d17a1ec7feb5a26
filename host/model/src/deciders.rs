use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Finding, FindingKind, PluginUse, Problem, matches};

/// How long a shadow may think where its policy does not say, in milliseconds.
pub const SHADOW_WITHIN_MS: u64 = 60_000;

/// One entry of a policy's deciders: a plugin, or a group of such entries.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "a policy has a few; boxing one would burden whoever reads it")]
pub enum DeciderRule {
    /// A plugin.
    One(DeciderUse),
    /// Several.
    Group(DeciderGroup),
}

/// One decider in a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeciderUse {
    /// Its part among the deciders.
    #[serde(flatten)]
    pub role: DeciderRole,
    /// The plugin.
    #[serde(flatten)]
    pub used: PluginUse,
}

/// A decider's part among the others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeciderRole {
    /// The decider's name in reports and in `safety.escalation`; by default the plugin's name. If a policy uses one plugin
    /// twice, names tell the two uses apart, and each then keeps its own state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Deadline of its answer, in milliseconds. After that its answer is not used, and the next decider is asked. By default only
    /// `limits.time_ms` applies; for a shadow the default is 60,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600_000))]
    pub answer_within_ms: Option<u64>,
}

/// A group of deciders. It holds exactly one of: `route`, which asks one branch, or `at_least` with `of`, a quorum.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeciderGroup {
    /// The group's name in the journal and in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Deadline of the whole group, in milliseconds. After that, answers that have not come are not used; a quorum counts
    /// those that have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600_000))]
    pub answer_within_ms: Option<u64>,
    /// Branches of a route. Only the first branch that matches the findings is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Vec<DeciderBranch>>,
    /// Minimum number of `of` that must want the same action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub at_least: Option<usize>,
    /// Members of a quorum, all asked at once. At least `at_least` of them must want the same action; their reasons may differ.
    /// Otherwise the group has no answer. A group among the members has one vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Vec<DeciderRule>>,
}

/// One branch of a route. It matches when one of the most severe findings has one of its kinds and one of its codes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeciderBranch {
    /// Kinds of finding that it matches. Empty: every kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<FindingKind>,
    /// Codes that it matches, in which `*` stands for any text. Empty: every code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// Deciders that are asked in order until one answers.
    pub ask: Vec<DeciderRule>,
}

/// What a group is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DeciderForm<'a> {
    /// One of these is asked.
    Route(&'a [DeciderBranch]),
    /// So many of these must want the same.
    Quorum(usize, &'a [DeciderRule]),
}

impl DeciderUse {
    /// What reports call it.
    pub fn name(&self) -> &str {
        self.role.name.as_deref().unwrap_or(&self.used.plugin)
    }

    /// How long it may think.
    pub fn within(&self) -> Option<Duration> {
        self.role.answer_within_ms.map(Duration::from_millis)
    }
}

impl From<PluginUse> for DeciderUse {
    fn from(used: PluginUse) -> Self {
        Self { role: DeciderRole::default(), used }
    }
}

impl DeciderGroup {
    /// What it is.
    ///
    /// # Errors
    ///
    /// It has not exactly one form, or one that can never answer.
    pub fn form(&self) -> Result<DeciderForm<'_>, Problem> {
        match self {
            Self { route: Some(branches), at_least: None, of: None, .. } => {
                if branches.is_empty() {
                    return Err(Problem::new("/route", "a route without ways asks nobody")
                        .help("give it a way with `ask`, or leave it out"));
                }
                Ok(DeciderForm::Route(branches))
            }
            Self { route: None, at_least: Some(least), of: Some(of), .. } => {
                if of.is_empty() {
                    return Err(Problem::new("/of", "a quorum without members has no answer")
                        .help("name deciders, or leave it out"));
                }
                if *least > of.len() {
                    let message = format!("{least} of {} can never want the same", of.len());
                    return Err(Problem::new("/at_least", message).help(format!("at most {}", of.len())));
                }
                Ok(DeciderForm::Quorum(*least, of))
            }
            _ => Err(Problem::new("", "an entry is one plugin or one kind of group")
                .help("write `plugin`, or one of `route`, `at_least` with `of`")),
        }
    }

    /// What reports call it.
    pub fn name(&self) -> String {
        match (&self.name, self.form()) {
            (Some(name), _) => name.clone(),
            (None, Ok(DeciderForm::Quorum(least, of))) => format!("at least {least} of {}", of.len()),
            (None, _) => "route".to_owned(),
        }
    }
}

impl DeciderRule {
    /// Every use of a plugin in it.
    pub fn uses(&self) -> Vec<&DeciderUse> {
        match self {
            Self::One(used) => vec![used],
            Self::Group(DeciderGroup { route, of, .. }) => {
                let branches = route.iter().flatten().flat_map(|branch| &branch.ask);
                branches.chain(of.iter().flatten()).flat_map(Self::uses).collect()
            }
        }
    }
}

impl Default for DeciderRule {
    fn default() -> Self {
        Self::Group(DeciderGroup::default())
    }
}

impl From<PluginUse> for DeciderRule {
    fn from(used: PluginUse) -> Self {
        Self::One(used.into())
    }
}

/// By the key `plugin` one tells which it is, so that what is wrong inside is told as such and not as "none of both".
impl<'de> Deserialize<'de> for DeciderRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.get("plugin").is_some() {
            serde_json::from_value(value).map(Self::One).map_err(Error::custom)
        } else {
            serde_json::from_value(value).map(Self::Group).map_err(Error::custom)
        }
    }
}

/// The keys of both parts stand side by side, and each part refuses what it does not know.
impl<'de> Deserialize<'de> for DeciderUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut used = Map::deserialize(deserializer)?;
        let role: Map<String, Value> =
            ["name", "answer_within_ms"].into_iter().filter_map(|key| used.remove_entry(key)).collect();
        Ok(Self {
            role: serde_json::from_value(Value::Object(role)).map_err(Error::custom)?,
            used: serde_json::from_value(Value::Object(used)).map_err(Error::custom)?,
        })
    }
}

impl JsonSchema for DeciderUse {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeciderUse".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let role = DeciderRole::json_schema(generator);
        let mut schema = PluginUse::json_schema(generator);
        schema.insert("description".to_owned(), "A decider in a policy.".into());
        if let Some(Value::Object(known)) = schema.get_mut("properties")
            && let Some(Value::Object(more)) = role.get("properties")
        {
            known.extend(more.clone());
        }
        schema
    }
}

impl JsonSchema for DeciderRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeciderRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, group) =
            (generator.subschema_for::<DeciderUse>(), generator.subschema_for::<DeciderGroup>());
        json_schema!({
            "description": "A plugin, or a group of such entries.",
            "type": "object",
            "if": { "required": ["plugin"] },
            "then": one,
            "else": group,
        })
    }
}

/// Somebody whose turn it is to decide, and for how long.
#[derive(Debug, Clone)]
pub struct Turn<D> {
    /// None: as long as it takes.
    pub within: Option<Duration>,
    /// Who.
    pub who: Who<D>,
}

/// One decider, or a group of them.
#[derive(Debug, Clone)]
pub enum Who<D> {
    /// One.
    One(D),
    /// The first way that is for what was found.
    Route {
        /// What reports call it.
        name: String,
        /// In order.
        ways: Vec<Way<D>>,
    },
    /// All at once, and so many must want the same.
    Quorum {
        /// What reports call it.
        name: String,
        /// How many.
        at_least: usize,
        /// Of these.
        of: Vec<Turn<D>>,
    },
}

/// One way of a route.
#[derive(Debug, Clone)]
pub struct Way<D> {
    /// Kinds of finding; none: any.
    pub kinds: Vec<FindingKind>,
    /// Codes, with `*`; none: any.
    pub codes: Vec<String>,
    /// Deciders that are asked in order until one answers.
    pub ask: Vec<Turn<D>>,
}

impl<D> Turn<D> {
    /// Everybody who is asked in it.
    pub fn leaves(&self) -> Vec<&D> {
        self.ones().into_iter().map(|(one, _)| one).collect()
    }

    /// The same, each with how long it may think.
    pub fn ones(&self) -> Vec<(&D, Option<Duration>)> {
        match &self.who {
            Who::One(one) => vec![(one, self.within)],
            Who::Route { ways, .. } => ways.iter().flat_map(|way| &way.ask).flat_map(Self::ones).collect(),
            Who::Quorum { of, .. } => of.iter().flat_map(Self::ones).collect(),
        }
    }

    /// The same, of something made from each.
    pub fn map<U>(&self, make: &impl Fn(&D) -> U) -> Turn<U> {
        let each = |turns: &[Self]| turns.iter().map(|turn| turn.map(make)).collect();
        let who = match &self.who {
            Who::One(one) => Who::One(make(one)),
            Who::Route { name, ways } => Who::Route {
                name: name.clone(),
                ways: ways
                    .iter()
                    .map(|way| Way {
                        kinds: way.kinds.clone(),
                        codes: way.codes.clone(),
                        ask: each(&way.ask),
                    })
                    .collect(),
            },
            Who::Quorum { name, at_least, of } => {
                Who::Quorum { name: name.clone(), at_least: *at_least, of: each(of) }
            }
        };
        Turn { within: self.within, who }
    }
}

impl<D> From<D> for Turn<D> {
    fn from(one: D) -> Self {
        Self { within: None, who: Who::One(one) }
    }
}

impl<D> Way<D> {
    /// Whether it is for what was found: for one of the worst findings, that is. They come worst first.
    pub fn is_for(&self, findings: &[Finding]) -> bool {
        let worst = findings.iter().map(|finding| finding.severity).max();
        findings.iter().filter(|finding| Some(finding.severity) == worst).any(|finding| {
            (self.kinds.is_empty() || self.kinds.contains(&finding.kind()))
                && (self.codes.is_empty() || self.codes.iter().any(|code| matches(code, &finding.code)))
        })
    }
}
