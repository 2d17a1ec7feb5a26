use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{PluginUse, Problem};

/// Groups within groups; what is nested deeper nobody reads.
pub const DEEPEST_RULE: usize = 8;

/// One entry of a policy's validators: a plugin, or a group of such entries.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ValidatorRule {
    /// A plugin.
    One(PluginUse),
    /// Several.
    Group(ValidatorGroup),
}

/// Several validators whose verdicts make one. Exactly one of `all_of`, `any_of`, `at_least` with `of`, and `not`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidatorGroup {
    /// The group's name in the journal and in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Members that must all allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_of: Option<Vec<ValidatorRule>>,
    /// Members of which at least one must allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_of: Option<Vec<ValidatorRule>>,
    /// Minimum number of `of` that must allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub at_least: Option<usize>,
    /// Members of which at least `at_least` must allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Vec<ValidatorRule>>,
    /// Member that must deny. If it fails or is not certain, the group does not allow either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<ValidatorRule>>,
}

/// The members of a group, each with its place in it.
pub type Members<'a> = Vec<(String, &'a ValidatorRule)>;

/// How the verdicts of a group make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupForm {
    /// All must allow.
    All,
    /// At least this many must allow.
    AtLeast(usize),
    /// The one must deny.
    Not,
}

/// Something that is asked, or a group of such.
#[derive(Debug, Clone)]
pub enum Rule<V> {
    /// One.
    One(V),
    /// Several, whose answers make one.
    Group {
        /// What reports call it.
        name: String,
        /// How the answers make one.
        form: GroupForm,
        /// Asked in order.
        members: Vec<Rule<V>>,
    },
}

impl<V> Rule<V> {
    /// Everything that is asked in it.
    pub fn leaves(&self) -> Vec<&V> {
        match self {
            Self::One(one) => vec![one],
            Self::Group { members, .. } => members.iter().flat_map(Rule::leaves).collect(),
        }
    }

    /// The same, of something made from each.
    pub fn map<U>(&self, make: &impl Fn(&V) -> U) -> Rule<U> {
        match self {
            Self::One(one) => Rule::One(make(one)),
            Self::Group { name, form, members } => Rule::Group {
                name: name.clone(),
                form: *form,
                members: members.iter().map(|member| member.map(make)).collect(),
            },
        }
    }
}

impl GroupForm {
    /// In a word or two.
    pub fn words(self, members: usize) -> String {
        match self {
            Self::All => format!("all of {members}"),
            Self::AtLeast(1) => format!("any of {members}"),
            Self::AtLeast(least) => format!("at least {least} of {members}"),
            Self::Not => "not".to_owned(),
        }
    }
}

impl ValidatorGroup {
    /// Its form and members, each with its place in the group.
    ///
    /// # Errors
    ///
    /// It has not exactly one form, or one that can never be.
    pub fn form(&self) -> Result<(GroupForm, Members<'_>), Problem> {
        let listed = |key: &str, members: &'_ [ValidatorRule]| -> Vec<String> {
            (0..members.len()).map(|index| format!("/{key}/{index}")).collect()
        };
        let (form, key, members): (_, _, &[ValidatorRule]) = match self {
            Self { all_of: Some(all), any_of: None, at_least: None, of: None, not: None, .. } => {
                (GroupForm::All, "all_of", all)
            }
            Self { all_of: None, any_of: Some(any), at_least: None, of: None, not: None, .. } => {
                (GroupForm::AtLeast(1), "any_of", any)
            }
            Self { all_of: None, any_of: None, at_least: Some(least), of: Some(of), not: None, .. } => {
                if *least > of.len() {
                    let message = format!("{least} of {} can never allow", of.len());
                    return Err(Problem::new("/at_least", message).help(format!("at most {}", of.len())));
                }
                (GroupForm::AtLeast(*least), "of", of)
            }
            Self { all_of: None, any_of: None, at_least: None, of: None, not: Some(not), .. } => {
                return Ok((GroupForm::Not, vec![("/not".to_owned(), not)]));
            }
            _ => {
                return Err(Problem::new("", "an entry is one plugin or one kind of group")
                    .help("write `plugin`, or one of `all_of`, `any_of`, `at_least` with `of`, `not`"));
            }
        };
        if members.is_empty() {
            return Err(Problem::new(format!("/{key}"), "a group without members says nothing"));
        }
        Ok((form, listed(key, members).into_iter().zip(members).collect()))
    }
}

impl ValidatorRule {
    /// Every use of a plugin in it.
    pub fn uses(&self) -> Vec<&PluginUse> {
        match self {
            Self::One(used) => vec![used],
            Self::Group(ValidatorGroup { all_of, any_of, of, not, .. }) => {
                let lists = [all_of, any_of, of].into_iter().flatten().flatten();
                lists.chain(not.as_deref()).flat_map(Self::uses).collect()
            }
        }
    }
}

impl Default for ValidatorRule {
    fn default() -> Self {
        Self::Group(ValidatorGroup::default())
    }
}

impl From<PluginUse> for ValidatorRule {
    fn from(used: PluginUse) -> Self {
        Self::One(used)
    }
}

/// By the key `plugin` one tells which it is, so that what is wrong inside is told as such and not as "none of both".
impl<'de> Deserialize<'de> for ValidatorRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.get("plugin").is_some() {
            serde_json::from_value(value).map(Self::One).map_err(serde::de::Error::custom)
        } else {
            serde_json::from_value(value).map(Self::Group).map_err(serde::de::Error::custom)
        }
    }
}

impl JsonSchema for ValidatorRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ValidatorRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, group) =
            (generator.subschema_for::<PluginUse>(), generator.subschema_for::<ValidatorGroup>());
        json_schema!({
            "description": "A plugin, or a group of such entries.",
            "type": "object",
            "if": { "required": ["plugin"] },
            "then": one,
            "else": group,
        })
    }
}
