use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DeciderRule, DeciderUse, LlmGrant, MutationPolicy, Safety, ValidatorRule};

/// Binds plugins, settings, limits, grants and constraints to sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The policy's name, unique among the policies of a host.
    pub name: String,
    /// Which sessions it judges: names, in which `*` stands for any text. Of several policies that match a session,
    /// the one with the longest pattern judges it.
    #[serde(default = "any_session")]
    pub sessions: Vec<String>,
    /// Which kinds of action may happen at all.
    #[serde(default)]
    pub mutation_policy: MutationPolicy,
    /// Least time between the end of one action, no-op, rejection or error and the next call of a decider, in
    /// milliseconds. Never shorter in effect than the settle time of the action taken.
    #[serde(default = "default_cooldown")]
    pub cooldown_ms: u64,
    /// Stops acting when too much was done.
    #[serde(default)]
    pub breaker: BreakerPolicy,
    /// What a session must keep to; a breach is a finding of the host's own.
    #[serde(default)]
    pub constraints: Constraints,
    /// Nodes that no action may touch: names, in which `*` stands for any text. `flyball check` with a manifest beside the
    /// policy, and a host when it starts, tell those that fit no node.
    #[serde(default)]
    pub protected_nodes: Vec<String>,
    /// What keeps the loop from doing harm.
    #[serde(default)]
    pub safety: Safety,
    /// How many earlier observations judges may look at.
    #[serde(default = "default_history")]
    #[schemars(range(min = 1, max = 3600))]
    pub history: u32,
    /// Public keys, each as the line that `flyball keygen` prints. If there are any, each judge from the plugin directory,
    /// and each component that is a node of a session which this policy judges, must be signed with one of them; those that came with the host are trusted as the host is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// What serves when the file of a plugin that this policy uses is not what it was. Of several policies that use a plugin
    /// the strictest counts.
    #[serde(default, skip_serializing_if = "PluginRules::is_default")]
    pub plugins: PluginRules,
    /// Which plugins judge, in which order.
    pub judges: Judges,
}

/// What serves when a plugin's file is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginRules {
    /// When its file went away and a plugin of the same name came with the host.
    pub on_missing: OnMissing,
    /// When its file holds an older version than the one that served and the policy asks for `signers`.
    pub on_downgrade: OnDowngrade,
}

impl PluginRules {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What serves when a plugin's file went away and a plugin of the same name came with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// The version that served serves on, over a restart too, and it is told.
    #[default]
    Keep,
    /// The one that came with the host.
    FallBack,
}

/// What serves when a signed plugin's file holds an older version than the one that served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDowngrade {
    /// The version that served serves on, over a restart too, and it is told.
    #[default]
    Keep,
    /// The older one.
    Allow,
}

fn any_session() -> Vec<String> {
    vec!["*".to_owned()]
}

fn default_cooldown() -> u64 {
    5_000
}

fn default_history() -> u32 {
    30
}

/// The plugins that judge, by kind and in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judges {
    /// Asked at every tick; all of them.
    #[serde(default)]
    pub heuristics: Vec<PluginUse>,
    /// Merged with what the data plane itself offers.
    #[serde(default)]
    pub catalogs: Vec<PluginUse>,
    /// Asked in order, until one answers.
    #[serde(default)]
    pub deciders: Vec<DeciderRule>,
    /// Asked the same beside them, and never followed: what they would have done is in the journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<DeciderUse>,
    /// Asked in order; all of them must allow.
    #[serde(default)]
    pub validators: Vec<ValidatorRule>,
    /// Asked in order, until one knows the reverse.
    #[serde(default)]
    pub reversers: Vec<PluginUse>,
    /// Plugins of kinds that the loop does not ask itself, by kind: for whoever runs the host and asks them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, Vec<PluginUse>>,
}

impl Judges {
    /// Every use of a plugin, of any kind.
    pub fn all(&self) -> impl Iterator<Item = &PluginUse> {
        let Self { heuristics, catalogs, deciders: _, shadows, validators, reversers, others } = self;
        let deciders = self.deciders().chain(shadows).map(|decider| &decider.used);
        let validators = validators.iter().flat_map(ValidatorRule::uses);
        let others = others.values().flatten();
        heuristics.iter().chain(catalogs).chain(deciders).chain(validators).chain(reversers).chain(others)
    }

    /// Every use of a decider that may be followed.
    pub fn deciders(&self) -> impl Iterator<Item = &DeciderUse> {
        self.deciders.iter().flat_map(DeciderRule::uses)
    }
}

/// One plugin in a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginUse {
    /// The plugin's name: `NAME.wasm` in the plugin directory, or a first-party plugin.
    pub plugin: String,
    /// Its settings, by the plugin's own schema.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// What a call may use.
    #[serde(default)]
    pub limits: Limits,
    /// What it may do beyond answering. Nothing is granted by default.
    #[serde(default)]
    pub grants: Grants,
    /// What happens when it fails; by default a validator's failure is a no and any other's is reported and passed over.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// What a plugin may do beyond answering. Nothing is granted by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Write lines to the host's log.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// Keep values between calls, for this plugin in each session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateGrant>,
    /// Ask HTTP servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpGrant>,
    /// Ask a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm: Option<Box<LlmGrant>>,
    /// Capabilities that this host was built with beside those, by their names, each with what it wants to know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, Value>,
}

impl Grants {
    /// Where in a plugin's use the grant of this name stands: `grants.http`, `grants.others.NAME`.
    pub fn place(name: &str) -> String {
        match name {
            "log" | "state" | "http" | "llm" => format!("grants.{name}"),
            other => format!("grants.others.{other}"),
        }
    }

    /// The names of what is granted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let granted = [
            ("log", self.log),
            ("state", self.state.is_some()),
            ("http", self.http.is_some()),
            ("llm", self.llm.is_some()),
        ];
        let granted = granted.into_iter().filter_map(|(name, given)| given.then_some(name));
        granted.chain(self.others.keys().map(String::as_str))
    }
}

/// How much a plugin may keep between calls in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StateGrant {
    /// Keys and values together, in KiB.
    #[schemars(range(min = 1, max = 1024))]
    pub max_kb: u64,
}

impl Default for StateGrant {
    fn default() -> Self {
        Self { max_kb: 64 }
    }
}

/// Which HTTP servers a plugin may ask, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// Scheme, host and, where it is not the scheme's own, port: `https://registry.example.com:8443`. A redirect may
    /// lead to these only, too.
    #[schemars(length(min = 1))]
    pub origins: Vec<String>,
    /// The methods.
    #[serde(default = "only_get")]
    pub methods: Vec<String>,
    /// Addresses and networks (`127.0.0.1`, `10.1.0.0/16`) that may be reached although they are private, link-local or
    /// otherwise not public.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<String>,
    /// The largest answer, in KiB.
    #[serde(default = "default_http_kb")]
    #[schemars(range(min = 1, max = 65_536))]
    pub max_kb: u64,
    /// The longest that one request may take, in milliseconds; never longer than what is left of the call.
    #[serde(default = "default_http_ms")]
    #[schemars(range(min = 1, max = 600_000))]
    pub time_ms: u64,
    /// Secrets that the host puts in the place of `{{secret:NAME}}` in headers. The plugin never holds one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretGrant>,
}

/// A secret, where it comes from and to whom it may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretGrant {
    /// Its name in placeholders.
    pub name: String,
    /// Where the host reads it.
    pub from: SecretSource,
    /// The origins to which it may be sent; each is one of the grant's.
    #[schemars(length(min = 1))]
    pub origins: Vec<String>,
}

/// Where the host reads a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// In an environment variable of this name.
    Env(String),
    /// In this file; white space around it is not part of it.
    File(String),
}

fn only_get() -> Vec<String> {
    vec!["GET".to_owned()]
}

fn default_http_kb() -> u64 {
    1024
}

fn default_http_ms() -> u64 {
    10_000
}

/// What happens when a plugin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// A validator's failure is a no; any other's is reported and passed over.
    #[default]
    Closed,
    /// A validator's failure is reported and passed over, like any other's.
    Open,
}

/// What one call of a plugin may use. What is over it ends the call with an error of that plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Wall time, host calls included, in milliseconds.
    #[schemars(range(min = 1, max = 600_000))]
    pub time_ms: u64,
    /// Linear memory, in MiB.
    #[schemars(range(min = 1, max = 1024))]
    pub memory_mb: u64,
    /// What the answer may hold, in KiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub output_kb: u64,
    /// What it may log, in KiB.
    #[schemars(range(max = 1024))]
    pub log_kb: u64,
    /// How often it may call the host.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub host_calls: u64,
    /// What may pass between it and the host in those calls, both ways together, in KiB.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub host_kb: u64,
    /// Instructions, as wasmtime counts them (its "fuel"): the same on every machine. None: time alone counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub fuel: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_ms: 100,
            memory_mb: 16,
            output_kb: 256,
            log_kb: 8,
            host_calls: 10_000,
            host_kb: 8_192,
            fuel: None,
        }
    }
}

/// Stops acting for a while when too much was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerPolicy {
    /// Actions within the window; the next one is held.
    #[schemars(range(min = 1))]
    pub max_actions: u32,
    /// The window, in milliseconds.
    #[schemars(range(min = 1))]
    pub window_ms: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { max_actions: 5, window_ms: 60_000 }
    }
}

/// What a session must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    /// End-to-end latency (p99), in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub max_latency_ms: Option<f64>,
    /// Items delivered a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub min_throughput: Option<f64>,
}

/// What a session must keep to: its policy's, narrowed by its manifest's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Whether to act at all.
    pub enabled: bool,
    /// Which kinds of action may happen.
    pub mutation: MutationPolicy,
    /// End-to-end latency (p99), in milliseconds.
    pub max_latency_ms: Option<f64>,
    /// Items delivered a second.
    pub min_throughput: Option<f64>,
    /// Nodes that no action may touch: names, in which `*` stands for any text.
    pub protected: Vec<String>,
    /// Least time between the end of one decision and the next, in milliseconds.
    pub cooldown_ms: u64,
    /// Actions within the window; the next one is held.
    pub max_actions: u32,
    /// The window, in milliseconds.
    pub window_ms: u64,
    /// How many earlier observations judges may look at.
    pub history: usize,
    /// What keeps the loop from doing harm.
    #[serde(default)]
    pub safety: Arc<Safety>,
}

impl Rules {
    /// As judges and recordings may see them: what actions may create is configured with secrets.
    #[must_use]
    pub fn as_shown(&self) -> Self {
        if self.safety.may_create.is_empty() {
            return self.clone();
        }
        Self {
            safety: Arc::new(Safety { may_create: Vec::new(), ..Safety::clone(&self.safety) }),
            ..self.clone()
        }
    }
}
