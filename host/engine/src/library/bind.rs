//! Gives a policy its judges, or says at which line it cannot have them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_documents::{DocumentFaults, DocumentText, locate};
use flyball_model::{
    DeciderForm, DeciderRule, DeciderUse, Grants, PluginKind, PluginUse, Policy, Problem, Rule,
    SHADOW_WITHIN_MS, Turn, ValidatorRule, Way, Who, printable_path, shell_word,
};

use super::generation::{Bound, Seal, Serving};
use crate::signature::{SignatureError, Signer, verify_signature};
use crate::stage::{Stage, Stopwatch};
use crate::{LoadError, Plugin, PluginJudge};

/// A policy that is to serve.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) source: DocumentText,
    pub(super) digest: Arc<str>,
    pub(super) policy: Policy,
}

/// Binds a policy to the plugins of a generation to be.
pub(super) fn bind(
    candidate: &Candidate,
    plugins: &BTreeMap<String, Serving>,
    unloadable: &BTreeMap<String, LoadError>,
    generation: u64,
    watch: &mut Stopwatch,
) -> Result<Bound, Unbound> {
    watch.at(Stage::Verify);
    let (signers, problems) = signers(&candidate.policy.signers);
    let stage = (!problems.is_empty()).then_some(Stage::Verify);
    let mut binder = Binder { plugins, unloadable, signers, generation, watch, stage, problems };
    let judges = &candidate.policy.judges;
    let bound = Bound {
        heuristics: binder.all("heuristics", PluginKind::Heuristic, &judges.heuristics),
        catalogs: binder.all("catalogs", PluginKind::Catalog, &judges.catalogs),
        deciders: binder.turns("/judges/deciders", &judges.deciders),
        shadows: binder.shadows(&judges.shadows),
        validators: binder.rules("/judges/validators", &judges.validators),
        reversers: binder.all("reversers", PluginKind::Reverser, &judges.reversers),
        others: binder.others(&judges.others),
        source: candidate.source.clone(),
        digest: Arc::clone(&candidate.digest),
        policy: candidate.policy.clone(),
        generation,
    };
    if binder.problems.is_empty() {
        return Ok(bound);
    }
    let stage = binder.stage.unwrap_or(Stage::World);
    Err(Unbound { stage, faults: locate(&candidate.source, binder.problems) })
}

/// Why a policy cannot have its judges, and at which stage that showed first.
#[derive(Debug)]
pub(super) struct Unbound {
    pub(super) stage: Stage,
    pub(super) faults: DocumentFaults,
}

/// The keys that a policy names, and which of them are none.
pub(super) fn signers(texts: &[String]) -> (Option<Vec<Signer>>, Vec<Problem>) {
    let (mut signers, mut problems) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        match Signer::read(text) {
            Ok(signer) => signers.push(signer),
            Err(error) => problems.push(Problem::new(format!("/signers/{index}"), error.to_string())),
        }
    }
    ((!texts.is_empty()).then_some(signers), problems)
}

/// Whether a component came with the host, or one of the signers signed it.
pub(super) fn vouched(serving: &Serving, signers: &[Signer]) -> Result<(), SignatureError> {
    let signature = match &serving.seal {
        Seal::Host => return Ok(()),
        Seal::Signature(text) => Some(&**text),
        Seal::None => None,
    };
    verify_signature(&serving.bytes, signature, signers).map(drop)
}

struct Binder<'a> {
    plugins: &'a BTreeMap<String, Serving>,
    unloadable: &'a BTreeMap<String, LoadError>,
    /// None: this policy asks for no signature.
    signers: Option<Vec<Signer>>,
    generation: u64,
    watch: &'a mut Stopwatch,
    stage: Option<Stage>,
    problems: Vec<Problem>,
}

impl Binder<'_> {
    fn all(&mut self, key: &str, kind: PluginKind, uses: &[PluginUse]) -> Vec<Arc<PluginJudge>> {
        let mut judges = Vec::new();
        for (index, used) in uses.iter().enumerate() {
            let at = format!("/judges/{key}/{index}");
            match self.one(&at, kind, used) {
                Ok(judge) => judges.push(Arc::new(judge)),
                Err((stage, problems)) => self.note(stage, problems),
            }
        }
        judges
    }

    fn others(
        &mut self,
        by_kind: &BTreeMap<String, Vec<PluginUse>>,
    ) -> BTreeMap<PluginKind, Vec<Arc<PluginJudge>>> {
        let mut judges = BTreeMap::new();
        for (name, uses) in by_kind {
            let at = format!("others/{}", step(name));
            match PluginKind::named(name) {
                Some(kind) if list_of(kind).is_none() => {
                    judges.insert(kind, self.all(&at, kind, uses));
                }
                known => {
                    let problem = Problem::new(
                        format!("/judges/{at}"),
                        format!("{name:?} is no kind of plugin that is named here"),
                    );
                    let problem = match known.and_then(list_of) {
                        Some(place) => problem.help(place),
                        None => problem.help("a kind is called as the world that its plugins are built for"),
                    };
                    self.note(Stage::World, vec![problem.code("unknown-kind")]);
                }
            }
        }
        judges
    }

    fn rules(&mut self, at: &str, rules: &[ValidatorRule]) -> Vec<Rule<Arc<PluginJudge>>> {
        let placed = rules.iter().enumerate().map(|(index, rule)| (format!("{at}/{index}"), rule));
        placed.filter_map(|(at, rule)| self.rule(&at, rule)).collect()
    }

    /// None: something in it is wrong, and noted.
    fn rule(&mut self, at: &str, rule: &ValidatorRule) -> Option<Rule<Arc<PluginJudge>>> {
        let noted = match rule {
            ValidatorRule::One(used) => self.one(at, PluginKind::Validator, used),
            ValidatorRule::Group(group) => match group.form() {
                Ok((form, members)) => {
                    let name = group.name.clone().unwrap_or_else(|| form.words(members.len()));
                    let wanted = members.len();
                    let members: Vec<_> = members
                        .into_iter()
                        .filter_map(|(below, member)| self.rule(&format!("{at}{below}"), member))
                        .collect();
                    return (members.len() == wanted).then_some(Rule::Group { name, form, members });
                }
                Err(problem) => {
                    let pointer = format!("{at}{}", problem.pointer);
                    Err((Stage::Verify, vec![Problem { pointer, ..problem }]))
                }
            },
        };
        match noted {
            Ok(judge) => Some(Rule::One(Arc::new(judge))),
            Err((stage, problems)) => {
                self.note(stage, problems);
                None
            }
        }
    }

    fn turns(&mut self, at: &str, rules: &[DeciderRule]) -> Vec<Turn<Arc<PluginJudge>>> {
        let placed = rules.iter().enumerate().map(|(index, rule)| (format!("{at}/{index}"), rule));
        placed.filter_map(|(at, rule)| self.turn(&at, rule)).collect()
    }

    /// None: something in it is wrong, and noted.
    fn turn(&mut self, at: &str, rule: &DeciderRule) -> Option<Turn<Arc<PluginJudge>>> {
        let group = match rule {
            DeciderRule::One(used) => {
                let decider = self.decider(at, used)?;
                return Some(Turn { within: used.within(), who: Who::One(decider) });
            }
            DeciderRule::Group(group) => group,
        };
        let name = group.name();
        let who = match group.form() {
            Ok(DeciderForm::Quorum(at_least, of)) => {
                Who::Quorum { name, at_least, of: self.turns(&format!("{at}/of"), of) }
            }
            Ok(DeciderForm::Route(branches)) => {
                let mut ways = Vec::new();
                for (index, branch) in branches.iter().enumerate() {
                    let ask = self.turns(&format!("{at}/route/{index}/ask"), &branch.ask);
                    ways.push(Way { kinds: branch.kinds.clone(), codes: branch.codes.clone(), ask });
                }
                Who::Route { name, ways }
            }
            Err(problem) => {
                let pointer = format!("{at}{}", problem.pointer);
                self.note(Stage::Verify, vec![Problem { pointer, ..problem }]);
                return None;
            }
        };
        Some(Turn { within: group.answer_within_ms.map(Duration::from_millis), who })
    }

    fn shadows(&mut self, shadows: &[DeciderUse]) -> Vec<(Arc<PluginJudge>, Duration)> {
        let mut judges = Vec::new();
        for (index, used) in shadows.iter().enumerate() {
            if let Some(judge) = self.decider(&format!("/judges/shadows/{index}"), used) {
                judges.push((judge, used.within().unwrap_or(Duration::from_millis(SHADOW_WITHIN_MS))));
            }
        }
        judges
    }

    fn decider(&mut self, at: &str, used: &DeciderUse) -> Option<Arc<PluginJudge>> {
        match self.one(at, PluginKind::Decider, &used.used) {
            Ok(judge) => Some(Arc::new(judge.named(used.name()))),
            Err((stage, problems)) => {
                self.note(stage, problems);
                None
            }
        }
    }

    fn note(&mut self, stage: Stage, problems: Vec<Problem>) {
        self.stage.get_or_insert(stage);
        self.problems.extend(problems);
    }

    fn one(
        &mut self,
        at: &str,
        kind: PluginKind,
        used: &PluginUse,
    ) -> Result<PluginJudge, (Stage, Vec<Problem>)> {
        let name = &used.plugin;
        let named = format!("{at}/plugin");
        let Some(serving) = self.plugins.get(name) else {
            return Err((Stage::World, vec![self.missing(named, kind, name)]));
        };
        let plugin = &serving.plugin;
        if plugin.kind() != kind {
            let message = format!("\"{name}\" is a {}, not a {kind}", plugin.kind());
            let problem = Problem::new(named, message)
                .help(
                    list_of(plugin.kind())
                        .unwrap_or_else(|| format!("name it under `judges.others.{}`", plugin.kind())),
                )
                .code("wrong-kind");
            return Err((Stage::World, vec![problem]));
        }
        self.watch.at(Stage::Verify);
        self.check_signature(&named, serving).map_err(|problem| (Stage::Verify, vec![problem]))?;
        self.watch.at(Stage::Link);
        unknown_grants(at, plugin, used).map_err(|problems| (Stage::Link, problems))?;
        let judge = PluginJudge::new(Arc::clone(plugin), used, self.generation)
            .map_err(|error| (Stage::Link, unlinked(at, name, error)))?;
        self.watch.at(Stage::Settings);
        let problems = plugin.check_settings(judge.settings(), used.limits).map_err(|error| {
            let message = format!("\"{name}\" failed at checking its settings: {error}");
            (Stage::Settings, vec![Problem::new(named, message)])
        })?;
        if problems.is_empty() {
            return Ok(judge);
        }
        let settings = format!("{at}/settings");
        let below =
            |problem: Problem| Problem { pointer: format!("{settings}{}", problem.pointer), ..problem };
        Err((Stage::Settings, problems.into_iter().map(below).collect()))
    }

    /// What came with the host is trusted as the host is; all else must be signed, if the policy asks for it.
    fn check_signature(&self, at: &str, serving: &Serving) -> Result<(), Problem> {
        let Some(signers) = &self.signers else { return Ok(()) };
        let Err(error) = vouched(serving, signers) else { return Ok(()) };
        let name = &serving.plugin.id().name;
        let file = serving.path.as_deref().map_or_else(|| name.to_string(), printable_path);
        let problem = Problem::new(
            at,
            format!("\"{name}\" may not serve in this policy, which asks for signers: {error}"),
        );
        Err(problem
            .help(format!("sign it with a signer's key: `flyball sign {} --key KEY`", shell_word(&file))))
    }

    fn missing(&self, at: String, kind: PluginKind, name: &str) -> Problem {
        if let Some(error) = self.unloadable.get(name) {
            return Problem::new(at, format!("the plugin \"{name}\" does not load: {error}"))
                .code("plugin-does-not-load");
        }
        let misnamed = self.unloadable.iter().find_map(|(file, error)| match error {
            LoadError::OtherName { described, .. } if described == name => Some(file),
            _ => None,
        });
        if let Some(file) = misnamed {
            return Problem::new(
                at,
                format!("the plugin \"{name}\" lies in {file}.wasm, and a file is named as its plugin"),
            )
            .help(format!("rename it to {name}.wasm"))
            .code("file-name");
        }
        let known = || self.plugins.iter().filter(|(_, one)| one.plugin.kind() == kind).map(|(name, _)| name);
        let near = known().min_by_key(|known| strsim::osa_distance(known, name));
        let near = near.filter(|near| strsim::osa_distance(near, name) <= (near.len() / 3).max(1));
        let problem = Problem::new(at, format!("unknown plugin \"{name}\"")).code("unknown-plugin");
        match near {
            Some(near) => problem.help(format!("did you mean \"{near}\"?")),
            None if known().next().is_none() => {
                problem.help(format!("put {name}.wasm into the plugin directory"))
            }
            None => problem.help(format!(
                "put {name}.wasm into the plugin directory, or use one of: {}",
                known().map(String::as_str).collect::<Vec<_>>().join(", ")
            )),
        }
    }
}

/// Where plugins of this kind are named, in words. None: among the others.
fn list_of(kind: PluginKind) -> Option<String> {
    const LISTED: [PluginKind; 5] = [
        PluginKind::Heuristic,
        PluginKind::Catalog,
        PluginKind::Decider,
        PluginKind::Validator,
        PluginKind::Reverser,
    ];
    if kind == PluginKind::Node {
        return Some("a pipeline's manifest names its nodes by their types".to_owned());
    }
    LISTED.contains(&kind).then(|| format!("name it under `judges.{kind}s`"))
}

/// Grants of capabilities that this host does not have.
fn unknown_grants(at: &str, plugin: &Plugin, used: &PluginUse) -> Result<(), Vec<Problem>> {
    let capabilities = plugin.engine().capabilities();
    let others = Grants { others: used.grants.others.clone(), ..Grants::default() };
    let grantable = |name: &str| {
        let found = capabilities.find(name);
        found.is_some_and(|one| (one.granted)(&others) && !(one.granted)(&Grants::default()))
    };
    let unknown = used.grants.others.keys().filter(|name| !grantable(name));
    let problems: Vec<Problem> = unknown
        .map(|name| {
            Problem::new(
                format!("{at}/grants/others/{}", step(name)),
                format!("this host has no capability {name:?} that is granted here"),
            )
            .help("take it out, or run a host that was built with it")
            .code("unknown-capability")
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A key as a step of a JSON Pointer.
fn step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unlinked(at: &str, name: &str, error: LoadError) -> Vec<Problem> {
    match error {
        LoadError::Grant { grant, problems } => problems
            .into_iter()
            .map(|problem| Problem { pointer: format!("{at}/grants/{grant}{}", problem.pointer), ..problem })
            .collect(),
        error => {
            let message = format!("\"{name}\" cannot be used here: {error}");
            vec![Problem::new(format!("{at}/plugin"), message)]
        }
    }
}
