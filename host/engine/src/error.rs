use flyball_model::{Grants, PluginKind, Problem};

use crate::boundary::Broke;
use crate::contract::VERSION;

/// A file that is no plugin for this host, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Nothing in it.
    #[error("the file is empty; a plugin is a WebAssembly component")]
    Empty,
    /// Larger than any plugin.
    #[error("the file has {bytes} bytes, more than the {limit} that a plugin may have")]
    TooLarge {
        /// How many.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// No WebAssembly at all.
    #[error("the file is {looks_like}, not WebAssembly; a plugin is a WebAssembly component")]
    NotWasm {
        /// What it looks like.
        looks_like: &'static str,
    },
    /// WebAssembly, but a core module.
    #[error(
        "the file is a core WebAssembly module, not a component; build it for wasm32-wasip2, or make it a component \
         with `wasm-tools component new`"
    )]
    CoreModule,
    /// Another version of the binary format.
    #[error("the file has WebAssembly's binary format {found:#x}, which this host does not know")]
    OtherFormat {
        /// Its version field.
        found: u32,
    },
    /// It ends too early.
    #[error("the file ends in the middle, after {bytes} bytes; it was not written to its end")]
    Truncated {
        /// How many there are.
        bytes: usize,
    },
    /// It is not valid.
    #[error("the component is not valid: {why}")]
    Invalid {
        /// What the compiler says.
        why: String,
    },
    /// The engine itself broke off over it.
    #[error(
        "the WebAssembly engine broke off over the component: {why}; it serves no component whose parts call each other \
         across memories, so build the plugin as one part, and tell the engine's makers of any other that it breaks off over"
    )]
    Broke {
        /// In the engine's words.
        why: String,
    },
    /// Valid, and too much for the compiler.
    #[error(
        "the component would keep the compiler busy for too long: {what} takes more than {limit} steps; build it \
         optimised, and without what it does not use"
    )]
    TooComplex {
        /// The part that is too much.
        what: String,
        /// The most.
        limit: u64,
    },
    /// A component, but no plugin.
    #[error(
        "the component exports {}, so it is no plugin of this host; a plugin exports \
         flyball:plugin/lifecycle@{VERSION} and one of {}",
        listed(exports),
        known.join(", ")
    )]
    NoPlugin {
        /// What it exports.
        exports: Vec<String>,
        /// The interfaces that would make it a plugin.
        known: Vec<&'static str>,
    },
    /// It says what it is and does nothing.
    #[error(
        "the component says what it is (flyball:plugin/lifecycle@{VERSION}) and is of no kind: it exports none of {}; a plugin \
         exports one of them, so build it for a world of the contract such as `heuristic`",
        known.join(", ")
    )]
    NoKind {
        /// The interfaces that would make it one.
        known: Vec<&'static str>,
    },
    /// A plugin for another version of the contract.
    #[error(
        "the plugin was built for flyball:plugin@{found}; this host serves flyball:plugin@{VERSION}{}",
        also(differences)
    )]
    OtherContract {
        /// Which.
        found: String,
        /// How the two differ in what the plugin uses.
        differences: Vec<String>,
    },
    /// Its interfaces are not those of the contract.
    #[error("the plugin does not fit flyball:plugin@{VERSION}: {}; build it against that contract", differences.join("; "))]
    Differs {
        /// How, one sentence each.
        differences: Vec<String>,
    },
    /// More than one kind in one component.
    #[error("the component is {} at once; a plugin is of one kind", kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and "))]
    SeveralKinds {
        /// Which.
        kinds: Vec<PluginKind>,
    },
    /// It does not say what it is.
    #[error(
        "the component is a {kind} but does not export flyball:plugin/lifecycle@{VERSION}, by which every plugin says \
         what it is"
    )]
    NoLifecycle {
        /// Of which kind.
        kind: PluginKind,
    },
    /// It wants something that no plugin of this host is given.
    #[error("the plugin imports {import}, which this host does not offer")]
    UnknownImport {
        /// What.
        import: String,
    },
    /// It imports something that its policy does not grant.
    #[error("it imports {import}, for which the policy must grant `{grant}` (`{}`)", Grants::place(grant))]
    NotGranted {
        /// What.
        import: String,
        /// Which grant gives it.
        grant: &'static str,
    },
    /// A grant of the policy is not sound.
    #[error("its grant `{grant}` is not sound: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Grant {
        /// Which.
        grant: &'static str,
        /// What is wrong; pointers lead into the grant.
        problems: Vec<Problem>,
    },
    /// It wants more than the version that runs.
    #[error(
        "this version wants {} beside what the running one has ({}); grant it in each policy that uses the plugin, or \
         remove it",
        listed(more), if running.is_empty() { "no grant".to_owned() } else { listed(running) }
    )]
    MoreGrants {
        /// What the running one has.
        running: Vec<String>,
        /// What this one wants beside it and a policy does not grant.
        more: Vec<String>,
    },
    /// An interface has the right name and another shape.
    #[error("{interface} has another shape than in flyball:plugin@{VERSION}: {why}")]
    WrongShape {
        /// Which.
        interface: String,
        /// How it differs.
        why: String,
    },
    /// It failed when asked what it is.
    #[error("the plugin failed when asked what it is: {0}")]
    Describing(CallError),
    /// What it says of itself cannot be.
    #[error("the plugin's description is not valid: {why}")]
    Description {
        /// Why not.
        why: String,
    },
    /// Its golden cases cannot be run.
    #[error("the plugin's golden cases cannot be run: {why}")]
    Cases {
        /// Why not.
        why: String,
    },
    /// It does not answer a golden case of its own as it should.
    #[error(
        "the plugin fails its golden case {about:?} ({place}): expected {expected}; it said {said}{}",
        asked_otherwise.iter().map(|one| format!("; {one}")).collect::<String>()
    )]
    Case {
        /// Where the case stands: its file and line, or its number.
        place: String,
        /// What the case shows.
        about: String,
        /// What it should say.
        expected: String,
        /// What it says.
        said: String,
        /// The requests and questions that it made and the case does not have.
        asked_otherwise: Vec<String>,
    },
    /// It is called otherwise than its file.
    #[error(
        "the plugin calls itself {described:?} but its file is {file:?}; rename the file to {described}.wasm"
    )]
    OtherName {
        /// By its description.
        described: String,
        /// The file's name.
        file: String,
    },
    /// An older version of a signed plugin.
    #[error(
        "its version {found} is older than {running}, which served; an old version of a signed plugin does not come back by \
         itself: go back with `flyball plugins rollback`, or let its policies have `plugins: {{ on_downgrade: allow }}`"
    )]
    Older {
        /// The file's version.
        found: String,
        /// The one that served.
        running: String,
    },
    /// It is of another kind than what it would replace.
    #[error(
        "the plugin is a {found} and the one that runs is a {running}; remove that one first or give this one another name"
    )]
    OtherKind {
        /// The new one's.
        found: PluginKind,
        /// The running one's.
        running: PluginKind,
    },
}

/// A call that gave no answer. It is an error of that plugin; the host and every other plugin go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It took too long.
    #[error("stopped after {limit_ms} ms, its time limit (`limits.time_ms`)")]
    TimedOut {
        /// The limit.
        limit_ms: u64,
    },
    /// It asked for too much memory.
    #[error("wanted {asked_kb} KiB of memory, over its limit of {limit_mb} MiB (`limits.memory_mb`)")]
    OutOfMemory {
        /// What it would have had.
        asked_kb: u64,
        /// The limit.
        limit_mb: u64,
    },
    /// It asked for too large a table.
    #[error("wanted a table of {asked} elements, over the limit of {limit}")]
    TableTooLarge {
        /// What it would have had.
        asked: usize,
        /// The limit.
        limit: usize,
    },
    /// It said or passed too much.
    #[error(
        "its answer, or what it passed to the host, is over its limit of {limit_kb} KiB (`limits.output_kb`)"
    )]
    OutputTooLarge {
        /// The limit.
        limit_kb: u64,
    },
    /// It called the host too often.
    #[error("called the host more often than {limit} times (`limits.host_calls`)")]
    TooManyHostCalls {
        /// The limit.
        limit: u64,
    },
    /// Too much passed between it and the host.
    #[error("more than {limit_kb} KiB passed between it and the host (`limits.host_kb`)")]
    TooMuchTraffic {
        /// The limit.
        limit_kb: u64,
    },
    /// It took too many instructions.
    #[error("stopped after {limit} instructions (`limits.fuel`)")]
    OutOfFuel {
        /// The limit.
        limit: u64,
    },
    /// It failed too often; it is not asked now.
    #[error(
        "in quarantine after {failures} failures in a row, asked again in {seconds} s; the last one: {last}"
    )]
    Quarantined {
        /// In a row.
        failures: u32,
        /// Until it is tried again.
        seconds: u64,
        /// The last one.
        last: String,
    },
    /// What it keeps cannot be read.
    #[error("what it keeps between calls cannot be read: {why}")]
    Forgotten {
        /// Why not.
        why: String,
    },
    /// It recursed too deep.
    #[error("its calls went too deep for its stack")]
    StackOverflow,
    /// It gave up, and said why.
    #[error("gave up: {message}")]
    Panicked {
        /// In its words.
        message: String,
    },
    /// It gave up, and did not say why.
    #[error("trapped: {what}")]
    Trapped {
        /// The kind of trap.
        what: String,
    },
    /// It left by `exit`.
    #[error("left by exit({code}) instead of answering")]
    Exited {
        /// The code.
        code: i32,
    },
    /// It waits for something that does not come: nothing outside a call exists for a plugin.
    #[error("waits for something that never comes: a plugin has no files, no network and no time to pass")]
    Blocked,
    /// It says itself that it failed.
    #[error("{message}")]
    Declined {
        /// In its words.
        message: String,
    },
    /// Its answer is well formed and means nothing.
    #[error("its answer's {field} is not valid: {why}")]
    InvalidAnswer {
        /// Where.
        field: &'static str,
        /// Why not.
        why: String,
    },
    /// Too many calls at once.
    #[error("the host has no room for another call now: {why}")]
    Busy {
        /// Which room.
        why: String,
    },
    /// The engine itself broke off in the call.
    #[error("the WebAssembly engine broke off in the call: {why}")]
    Broke {
        /// In the engine's words.
        why: String,
    },
    /// It broke the rules of the boundary.
    #[error("failed: {why}")]
    Failed {
        /// How.
        why: String,
    },
}

impl CallError {
    /// The plugin said so itself: its call ended well.
    pub(crate) const fn is_answer(&self) -> bool {
        matches!(self, Self::Declined { .. })
    }
}

impl From<Broke> for LoadError {
    fn from(Broke { why }: Broke) -> Self {
        Self::Broke { why }
    }
}

impl From<Broke> for CallError {
    fn from(Broke { why }: Broke) -> Self {
        Self::Broke { why }
    }
}

fn also(differences: &[String]) -> String {
    if differences.is_empty() { String::new() } else { format!(": {}", differences.join("; ")) }
}

fn listed(exports: &[String]) -> String {
    const MOST: usize = 10;
    let first: Vec<&str> = exports.iter().take(MOST).map(String::as_str).collect();
    match exports.len().checked_sub(MOST) {
        _ if exports.is_empty() => "nothing".to_owned(),
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}
