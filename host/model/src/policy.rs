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
    /// Names of the sessions that it judges, in which `*` stands for any text. If several policies match a session, the one
    /// with the longest pattern judges it.
    #[serde(default = "any_session")]
    pub sessions: Vec<String>,
    /// Level that says which kinds of action are allowed.
    #[serde(default)]
    pub mutation_policy: MutationPolicy,
    /// Minimum time between the end of an action, a no-op, a rejection or an error and the next call of a decider, in
    /// milliseconds. After an action, its settle time is waited for too.
    #[serde(default = "default_cooldown")]
    pub cooldown_ms: u64,
    /// Circuit breaker: holds further actions after too many in a short time.
    #[serde(default)]
    pub breaker: BreakerPolicy,
    /// Limits that a session must keep. The host reports a breach as a finding of its own.
    #[serde(default)]
    pub constraints: Constraints,
    /// Names of nodes that no action may touch, in which `*` stands for any text. `flyball check` with a manifest beside the
    /// policy, and a host when it starts, report names that match no node.
    #[serde(default)]
    pub protected_nodes: Vec<String>,
    /// Permissions, budgets and stops for the actions of the loop.
    #[serde(default)]
    pub safety: Safety,
    /// Number of earlier observations that plugins can read.
    #[serde(default = "default_history")]
    #[schemars(range(min = 1, max = 3600))]
    pub history: u32,
    /// Public keys, each as the line that `flyball keygen` prints. If there are any, two kinds of component must be signed with one
    /// of them: each plugin from the plugin directory that this policy uses, and each component that is a node of a session
    /// which this policy judges. Plugins that came with the host need no signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// Which version serves when the file of a plugin that this policy uses is missing or is an older version. If several policies
    /// use a plugin, the strictest rule counts.
    #[serde(default, skip_serializing_if = "PluginRules::is_default")]
    pub plugins: PluginRules,
    /// The plugins that judge, by kind and in order.
    pub judges: JudgesSection,
}

/// Which version serves when a plugin's file is missing or is an older version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginRules {
    /// Which version serves if the file is missing and a plugin of the same name came with the host.
    pub on_missing: OnMissing,
    /// Which version serves if the file holds an older version than the one that served, and the policy has `signers`.
    pub on_downgrade: OnDowngrade,
}

impl PluginRules {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which version serves when a plugin's file is missing and a plugin of the same name came with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// The version that served keeps serving, after a restart too, and the host reports it.
    #[default]
    Keep,
    /// The plugin that came with the host serves.
    FallBack,
}

/// Which version serves when a signed plugin's file holds an older version than the one that served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDowngrade {
    /// The version that served keeps serving, after a restart too, and the host reports it.
    #[default]
    Keep,
    /// The older version serves.
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
pub struct JudgesSection {
    /// Plugins that say what needs attention. All are asked at every tick.
    #[serde(default)]
    pub heuristics: Vec<PluginUse>,
    /// Plugins that list node types. Their lists are merged with the data plane's own.
    #[serde(default)]
    pub catalogs: Vec<PluginUse>,
    /// Plugins that choose an action, or groups of them. They are asked in order until one answers.
    #[serde(default)]
    pub deciders: Vec<DeciderRule>,
    /// Deciders that get the same question in parallel. Their answers are recorded in the journal and never used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<DeciderUse>,
    /// Plugins that allow or refuse an action, or groups of them. They are asked in order, and all must allow.
    #[serde(default)]
    pub validators: Vec<ValidatorRule>,
    /// Plugins that say how an action is undone. They are asked in order until one knows.
    #[serde(default)]
    pub reversers: Vec<PluginUse>,
    /// Plugins of kinds that the loop does not ask itself, by kind: for whoever runs the host and asks them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, Vec<PluginUse>>,
}

impl JudgesSection {
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
    /// Its settings. The plugin's own schema says which there are.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Resource limits of each call.
    #[serde(default)]
    pub limits: Limits,
    /// Host capabilities that it may import. Nothing is granted by default.
    #[serde(default)]
    pub grants: Grants,
    /// What its failure means. By default the failure of a validator is a refusal, and any other failure is reported and ignored.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// Host capabilities that a plugin may import. Nothing is granted by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// It may write lines to the host's log.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// It may keep values between calls. Each session has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateGrant>,
    /// It may send HTTP requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpGrant>,
    /// It may ask a language model.
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
    /// Maximum size of keys and values together, in KiB.
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
    /// Origins that may be reached, redirects included: scheme, host and, if it is not the default, port, such as
    /// `https://registry.example.com:8443`.
    #[schemars(length(min = 1))]
    pub origins: Vec<String>,
    /// Methods that may be used.
    #[serde(default = "only_get")]
    pub methods: Vec<String>,
    /// Addresses and networks that are not public (private, link-local and the like) and may be reached all the same, such as
    /// `127.0.0.1` or `10.1.0.0/16`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<String>,
    /// Maximum size of an answer, in KiB.
    #[serde(default = "default_http_kb")]
    #[schemars(range(min = 1, max = 65_536))]
    pub max_kb: u64,
    /// Time limit of one request, in milliseconds. The rest of the call's time bounds it too.
    #[serde(default = "default_http_ms")]
    #[schemars(range(min = 1, max = 600_000))]
    pub time_ms: u64,
    /// Secrets. The host replaces `{{secret:NAME}}` in headers with the secret; the plugin never holds it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretGrant>,
}

/// A secret: where the host reads it, and where it may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretGrant {
    /// Its name in placeholders.
    pub name: String,
    /// Where the host reads it.
    pub from: SecretSource,
    /// Origins to which it may be sent. Each must be among the grant's `origins`.
    #[schemars(length(min = 1))]
    pub origins: Vec<String>,
}

/// Where the host reads a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// From the environment variable of this name.
    Env(String),
    /// From this file. White space at its beginning and end is removed.
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

/// What the failure of a plugin means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The failure of a validator is a refusal. Any other failure is reported and ignored.
    #[default]
    Closed,
    /// Every failure is reported and ignored, that of a validator too.
    Open,
}

/// Resource limits of one call of a plugin. Exceeding a limit aborts the call and counts as an error of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Maximum wall time, host calls included, in milliseconds.
    #[schemars(range(min = 1, max = 600_000))]
    pub time_ms: u64,
    /// Maximum linear memory, in MiB.
    #[schemars(range(min = 1, max = 1024))]
    pub memory_mb: u64,
    /// Maximum size of the answer, in KiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub output_kb: u64,
    /// Maximum size of its log lines together, in KiB.
    #[schemars(range(max = 1024))]
    pub log_kb: u64,
    /// Maximum number of calls to the host.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub host_calls: u64,
    /// Maximum size of what those calls carry, both directions together, in KiB.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub host_kb: u64,
    /// Maximum number of instructions, as wasmtime counts them (its "fuel"). The count is the same on every machine. By default there
    /// is no such limit.
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

/// Circuit breaker: holds further actions after too many in a short time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerPolicy {
    /// Maximum number of actions in the window. Further ones are held.
    #[schemars(range(min = 1))]
    pub max_actions: u32,
    /// Length of the window, in milliseconds.
    #[schemars(range(min = 1))]
    pub window_ms: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { max_actions: 5, window_ms: 60_000 }
    }
}

/// Limits that a session must keep.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    /// Maximum end-to-end latency (p99), in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub max_latency_ms: Option<f64>,
    /// Minimum number of items delivered per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub min_throughput: Option<f64>,
}

/// What a session must keep to: its policy's, narrowed by its manifest's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Whether to act at all.
    pub enabled: bool,
    /// Level that says which kinds of action are allowed.
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
