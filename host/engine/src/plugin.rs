//! One component, from its bytes to a plugin that can be asked: checked, compiled, asked what it is, and linked with what a
//! policy grants.
//!
//! It must uphold that nothing which a component says of itself is believed unchecked, and that no component that fails on the
//! way ends the host. The library loads plugins by this; judges call them.

use std::sync::Arc;

use flyball_model::{Grants, Limits, PluginId, PluginKind, Problem};
use serde_json::Value;
use wasmtime::component::{Component, ComponentExportIndex};

use crate::Engine;
use crate::bindings::lifecycle;
use crate::boundary;
use crate::call::{Given, Ready};
use crate::capabilities::settings::Settings;
use crate::cases::{self, Placed};
use crate::contract::{self, LIFECYCLE};
use crate::engine::digest_of;
use crate::error::{CallError, LoadError};
use crate::quoted::{plain, shortened};
use crate::stage::{Stage, Stopwatch};
use crate::stats::CallStats;
use crate::worlds::Served;

/// Whoever mends settings need not be told more at once.
const MOST_FAULTS: usize = 20;

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The name that policies use.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// JSON Schema of its settings.
    pub settings_schema: Value,
    /// The grants that it wants, each with why.
    pub wants: Vec<(String, String)>,
}

/// One component, compiled and ready to be called.
pub struct Plugin {
    world: Served,
    id: PluginId,
    description: Description,
    schema: jsonschema::Validator,
    bytes: usize,
    cases: Vec<Placed>,
    engine: Engine,
    component: Component,
    /// With every import that there is, none of which answers: for what is asked before any policy speaks.
    pub(crate) unbound: Ready,
    check_settings: ComponentExportIndex,
    pub(crate) judge: ComponentExportIndex,
    stats: Arc<CallStats>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("kind", &self.world.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Plugin {
    pub(crate) fn load(engine: &Engine, bytes: &[u8], watch: &mut Stopwatch) -> Result<Self, LoadError> {
        boundary::contained(|| {
            Self::loaded(engine, bytes, watch).map_err(|error| contract::explained(error, bytes))
        })
        .unwrap_or_else(|broke| Err(broke.into()))
    }

    fn loaded(engine: &Engine, bytes: &[u8], watch: &mut Stopwatch) -> Result<Self, LoadError> {
        watch.at(Stage::Verify);
        contract::check_shape(bytes)?;
        let digest = digest_of(bytes);
        watch.at(Stage::Compile);
        let component = engine.compile(bytes, &digest)?;
        watch.at(Stage::World);
        let world = contract::world_of(&component, engine.worlds())?;
        let asynchronous =
            contract::imports_asynchronous(&component, engine.worlds(), engine.capabilities())?;
        let describe = exported(&component, LIFECYCLE, "describe")?;
        let check_settings = exported(&component, LIFECYCLE, "check-settings")?;
        let judge = exported(&component, world.interface, world.function)?;
        let link = |error: wasmtime::Error| LoadError::WrongShape {
            interface: "an import".to_owned(),
            why: plain(&format!("{error:#}"), 500),
        };
        let linker = engine.linker(engine.capabilities().linked(None, asynchronous)).map_err(link)?;
        let instance = linker.instantiate_pre(&component).map_err(link)?;
        let mut unbound = Ready { instance, name: "?".into(), digest: Arc::clone(&digest), asynchronous };
        let given = Given { limits: engine.load_limits(), ..Given::default() };
        let said = unbound.call::<(), (lifecycle::Description,)>(&describe, (), given).said;
        let (said,) = said.map_err(LoadError::Describing)?;
        let description = description(said)?;
        let schema = crate::schema::compiled(&description.settings_schema)
            .map_err(|why| invalid(format!("settings-schema {}", shortened(why, 500))))?;
        let id = PluginId {
            name: description.name.as_str().into(),
            version: description.version.as_str().into(),
            digest,
        };
        unbound.name = Arc::clone(&id.name);
        let plugin = Self {
            world,
            id,
            description,
            schema,
            bytes: bytes.len(),
            cases: cases::found_in(bytes)?,
            engine: engine.clone(),
            component,
            unbound,
            check_settings,
            judge,
            stats: Arc::new(CallStats::new()),
        };
        plugin.check_world()?;
        Ok(plugin)
    }

    /// The names of what it imports.
    pub fn imports(&self) -> Vec<String> {
        let ty = self.component.component_type();
        ty.imports(self.component.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// The names of what it exports.
    pub fn exports(&self) -> Vec<String> {
        let ty = self.component.component_type();
        ty.exports(self.component.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// The size of its compiled form in bytes, as the cache keeps it.
    pub fn compiled_size(&self) -> Option<usize> {
        self.component.serialize().ok().map(|compiled| compiled.len())
    }

    /// How many golden cases it brings.
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// Asks it its own golden cases.
    ///
    /// # Errors
    ///
    /// The first that it does not answer as it should.
    pub fn check_cases(self: &Arc<Self>) -> Result<(), LoadError> {
        boundary::contained(|| cases::first_failing(self, &self.cases))
            .unwrap_or_else(|broke| Err(broke.into()))
    }

    /// Every golden case of its own that it does not answer as it should, each with its place; at most `most`.
    pub fn failing_cases(self: &Arc<Self>, most: usize) -> Vec<LoadError> {
        boundary::contained(|| cases::failing(self, &self.cases, most))
            .unwrap_or_else(|broke| vec![broke.into()])
    }

    /// Linked with exactly what is granted.
    pub(crate) fn granted(&self, grants: &Grants) -> Result<Ready, LoadError> {
        let capabilities = self.engine.capabilities();
        contract::check_granted(&self.component, capabilities, grants)?;
        let linked = capabilities.linked(Some(grants), self.unbound.asynchronous);
        let instance = boundary::guarded(|| {
            self.engine.linker(linked).and_then(|linker| linker.instantiate_pre(&self.component))
        });
        let instance = instance?.map_err(|error| LoadError::WrongShape {
            interface: "an import".to_owned(),
            why: plain(&format!("{error:#}"), 500),
        })?;
        Ok(Ready { instance, ..self.unbound.clone() })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Of which kind it is.
    pub fn kind(&self) -> PluginKind {
        self.world.kind
    }

    /// What its kind is made of.
    pub(crate) fn world(&self) -> &Served {
        &self.world
    }

    /// Compares the shape of the function that makes it one of its kind with the world's, without calling it.
    fn check_world(&self) -> Result<(), LoadError> {
        (self.world.check)(&self.unbound, &self.judge, self.engine.load_limits()).map_err(|error| match error
        {
            CallError::Failed { why } => {
                LoadError::WrongShape { interface: self.world.interface.to_owned(), why }
            }
            other => LoadError::Describing(other),
        })
    }

    /// Exactly which it is.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The component's size in bytes.
    pub fn size(&self) -> usize {
        self.bytes
    }

    /// What its calls cost so far.
    pub fn stats(&self) -> &Arc<CallStats> {
        &self.stats
    }

    /// Checks settings by the plugin's schema, then by the plugin itself. Pointers lead into the settings.
    ///
    /// # Errors
    ///
    /// The plugin failed at checking them.
    pub fn check_settings(
        &self,
        settings: &Arc<Settings>,
        limits: Limits,
    ) -> Result<Vec<Problem>, CallError> {
        // The schema is the plugin's, so whatever holds settings against it works on what nobody vouches for.
        let by_schema = boundary::guarded(|| {
            flyball_documents::schema_problems(
                &self.description.settings_schema,
                &self.schema,
                settings.value(),
            )
        })?;
        // So is what is quoted of it.
        let fit = |text: String| plain(&text, 500);
        let by_schema: Vec<Problem> = by_schema
            .into_iter()
            .take(MOST_FAULTS)
            .map(|problem| Problem {
                message: fit(problem.message.clone()),
                help: problem.help.clone().map(fit),
                ..problem
            })
            .collect();
        if !by_schema.is_empty() {
            return Ok(by_schema);
        }
        self.asked_of_settings(settings, limits)
    }

    /// What the plugin itself says of settings.
    pub(crate) fn asked_of_settings(
        &self,
        settings: &Arc<Settings>,
        limits: Limits,
    ) -> Result<Vec<Problem>, CallError> {
        let given = Given { settings: Arc::clone(settings), limits, ..Given::default() };
        let said = self
            .unbound
            .call::<(), (Result<(), Vec<lifecycle::Fault>>,)>(&self.check_settings, (), given)
            .said;
        let faults = said?.0.err().unwrap_or_default();
        let told = faults.into_iter().take(MOST_FAULTS);
        Ok(told
            .map(|fault| {
                Problem::new(plain(&pointer(&fault.path), 500), plain(&fault.message, 500)).code("settings")
            })
            .collect())
    }
}

/// Plugins write paths with and without the leading slash.
fn pointer(path: &str) -> String {
    if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn exported(
    component: &Component,
    interface: &str,
    function: &str,
) -> Result<ComponentExportIndex, LoadError> {
    component
        .get_export_index(None, interface)
        .and_then(|instance| component.get_export_index(Some(&instance), function))
        .ok_or_else(|| LoadError::WrongShape {
            interface: interface.to_owned(),
            why: format!("it has no function {function}"),
        })
}

fn invalid(why: String) -> LoadError {
    LoadError::Description { why }
}

fn description(said: lifecycle::Description) -> Result<Description, LoadError> {
    let letters = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if said.name.is_empty() || said.name.len() > 64 || !letters(&said.name) {
        return Err(invalid(format!(
            "the name {:?} is not of lower case letters, digits and dashes",
            shortened(said.name, 64)
        )));
    }
    if said.version.len() > 64 || semver::Version::parse(&said.version).is_err() {
        return Err(invalid(format!(
            "the version {:?} is not a semantic version such as 1.2.0",
            shortened(said.version, 64)
        )));
    }
    let settings_schema = serde_json::from_str(&said.settings_schema)
        .map_err(|error| invalid(format!("settings-schema is not JSON: {error}")))?;
    Ok(Description {
        name: said.name,
        version: said.version,
        summary: line(&said.summary),
        settings_schema,
        wants: said.wants.into_iter().take(16).map(|want| (line(&want.grant), line(&want.why))).collect(),
    })
}

/// One line for people, whatever it holds.
fn line(text: &str) -> String {
    plain(text, 200)
}
