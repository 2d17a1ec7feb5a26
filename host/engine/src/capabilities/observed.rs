//! The capability `observed`: what a plugin may look at, the observation and the window as host resources. A handle is a number into the sight
//! that the store already holds, so making one copies nothing.

use std::sync::Arc;

use flyball_model::{Executor, Grants, NodeStatus, Observation, Trend};
use wasmtime::component::{Linker, Resource};

use super::{Capability, Whole};
use crate::bindings::observed;
use crate::call::Call;

/// See the module's page.
pub(super) struct ObservedImport;

impl Capability for ObservedImport {
    const NAME: &'static str = "observed";
    const IMPORTS: &'static [&'static str] = &["flyball:plugin/observed@0.1.0"];

    fn granted(_: &Grants) -> bool {
        true
    }

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        observed::add_to_linker::<Call, Whole>(linker, |call| call)
    }
}

/// An observation's handle: 0 is the present one, n the one n ticks ago.
pub enum Seen {}

/// The window's handle; there is one.
pub enum Past {}

type Handled<T> = wasmtime::Result<T>;

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

impl Call {
    /// The observation behind a handle. A plugin that is not shown any holds no handle, so the error means that it
    /// made one up.
    pub(crate) fn seen(&self, handle: u32) -> Handled<&Arc<Observation>> {
        let sight = self.sight.as_ref();
        let seen = match handle {
            0 => sight.map(|sight| &sight.now),
            ago => sight.and_then(|sight| sight.past.at(index(ago))),
        };
        seen.ok_or_else(|| wasmtime::Error::msg("there is no such observation"))
    }

    fn look(&mut self, handle: &Resource<Seen>) -> Handled<&Arc<Observation>> {
        self.enter()?;
        self.seen(handle.rep())
    }

    fn past(&mut self) -> Handled<&flyball_model::History> {
        self.enter()?;
        let sight = self.sight.as_ref().ok_or_else(|| wasmtime::Error::msg("there is no window"))?;
        Ok(&sight.past)
    }
}

impl observed::Host for Call {}

impl observed::HostObservation for Call {
    fn session(&mut self, handle: Resource<Seen>) -> Handled<String> {
        let value = self.look(&handle)?.session.to_string();
        self.gave(value)
    }

    fn tick(&mut self, handle: Resource<Seen>) -> Handled<u64> {
        Ok(self.look(&handle)?.tick)
    }

    fn taken_at(&mut self, handle: Resource<Seen>) -> Handled<u64> {
        Ok(self.look(&handle)?.taken_at)
    }

    fn len(&mut self, handle: Resource<Seen>) -> Handled<u32> {
        Ok(number(self.look(&handle)?.nodes.len()))
    }

    fn id(&mut self, handle: Resource<Seen>, node: u32) -> Handled<String> {
        let value = named(&self.look(&handle)?.nodes.ids, node);
        self.gave(value)
    }

    fn ids(&mut self, handle: Resource<Seen>) -> Handled<Vec<String>> {
        let value = self.look(&handle)?.nodes.ids.iter().map(ToString::to_string).collect();
        self.gave(value)
    }

    fn node_type(&mut self, handle: Resource<Seen>, node: u32) -> Handled<String> {
        let value = named(&self.look(&handle)?.nodes.types, node);
        self.gave(value)
    }

    fn node_types(&mut self, handle: Resource<Seen>) -> Handled<Vec<String>> {
        let value = self.look(&handle)?.nodes.types.iter().map(ToString::to_string).collect();
        self.gave(value)
    }

    fn executors(&mut self, handle: Resource<Seen>) -> Handled<Vec<observed::Executor>> {
        let value = self.look(&handle)?.nodes.executors.iter().map(|executor| (*executor).into()).collect();
        self.gave(value)
    }

    fn statuses(&mut self, handle: Resource<Seen>) -> Handled<Vec<observed::Status>> {
        let value = self.look(&handle)?.nodes.statuses.iter().map(|status| (*status).into()).collect();
        self.gave(value)
    }

    fn latency_trends(&mut self, handle: Resource<Seen>) -> Handled<Vec<observed::Trend>> {
        let value = self.look(&handle)?.nodes.latency_trends.iter().map(|trend| (*trend).into()).collect();
        self.gave(value)
    }

    fn column(&mut self, handle: Resource<Seen>, metric: String) -> Handled<Option<Vec<f64>>> {
        let value = self.look(&handle)?.nodes.metrics.get(&metric).map(<[f64]>::to_vec);
        self.gave(value)
    }

    fn total(&mut self, handle: Resource<Seen>, metric: String) -> Handled<Option<f64>> {
        Ok(self.look(&handle)?.total(&metric))
    }

    fn find(&mut self, handle: Resource<Seen>, id: String) -> Handled<Option<u32>> {
        let value = self.look(&handle)?.nodes.find(&id).map(number);
        self.gave(value)
    }

    fn last_error(&mut self, handle: Resource<Seen>, node: u32) -> Handled<Option<String>> {
        let seen = self.look(&handle)?;
        let error = seen.nodes.last_errors.get(index(node)).and_then(Option::as_ref).map(ToString::to_string);
        self.gave(error)
    }

    fn edges(&mut self, handle: Resource<Seen>) -> Handled<Vec<(u32, u32)>> {
        let value = self.look(&handle)?.edges.to_vec();
        self.gave(value)
    }

    fn bottleneck(&mut self, handle: Resource<Seen>) -> Handled<Option<u32>> {
        Ok(self.look(&handle)?.graph.bottleneck)
    }

    fn critical_path(&mut self, handle: Resource<Seen>) -> Handled<Vec<u32>> {
        let value = self.look(&handle)?.graph.critical_path.clone();
        self.gave(value)
    }

    fn errors(&mut self, handle: Resource<Seen>, limit: u32) -> Handled<Vec<observed::SeenError>> {
        let errors = self.look(&handle)?.errors.iter().take(index(limit));
        let errors: Vec<_> = errors
            .map(|error| observed::SeenError {
                at: error.at,
                node: error.node,
                message: error.message.to_string(),
            })
            .collect();
        self.gave(errors)
    }

    fn drop(&mut self, _: Resource<Seen>) -> Handled<()> {
        Ok(())
    }
}

impl observed::HostWindow for Call {
    fn len(&mut self, _: Resource<Past>) -> Handled<u32> {
        Ok(number(self.past()?.len()))
    }

    fn series(
        &mut self,
        _: Resource<Past>,
        node_id: String,
        metric: String,
        count: u32,
    ) -> Handled<Vec<f64>> {
        let value = self.past()?.series(&node_id, &metric, index(count));
        self.gave(value)
    }

    fn status_series(
        &mut self,
        _: Resource<Past>,
        node_id: String,
        count: u32,
    ) -> Handled<Vec<observed::Status>> {
        let value = self.past()?.statuses(&node_id, index(count)).into_iter().map(Into::into).collect();
        self.gave(value)
    }

    fn trend_series(
        &mut self,
        _: Resource<Past>,
        node_id: String,
        count: u32,
    ) -> Handled<Vec<observed::Trend>> {
        let value = self.past()?.trends(&node_id, index(count)).into_iter().map(Into::into).collect();
        self.gave(value)
    }

    fn at(&mut self, _: Resource<Past>, ticks_ago: u32) -> Handled<Option<Resource<Seen>>> {
        Ok(self.past()?.at(index(ticks_ago)).is_some().then(|| Resource::new_own(ticks_ago)))
    }

    fn drop(&mut self, _: Resource<Past>) -> Handled<()> {
        Ok(())
    }
}

fn named(names: &[Arc<str>], node: u32) -> String {
    names.get(index(node)).map(ToString::to_string).unwrap_or_default()
}

impl From<Executor> for observed::Executor {
    fn from(executor: Executor) -> Self {
        match executor {
            Executor::Native => Self::Native,
            Executor::Multiprocess => Self::Multiprocess,
            Executor::Wasm => Self::Wasm,
        }
    }
}

impl From<observed::Executor> for Executor {
    fn from(executor: observed::Executor) -> Self {
        match executor {
            observed::Executor::Native => Self::Native,
            observed::Executor::Multiprocess => Self::Multiprocess,
            observed::Executor::Wasm => Self::Wasm,
        }
    }
}

impl From<NodeStatus> for observed::Status {
    fn from(status: NodeStatus) -> Self {
        match status {
            NodeStatus::Unknown => Self::Unknown,
            NodeStatus::Healthy => Self::Healthy,
            NodeStatus::Degraded => Self::Degraded,
            NodeStatus::Failed => Self::Failed,
        }
    }
}

impl From<Trend> for observed::Trend {
    fn from(trend: Trend) -> Self {
        match trend {
            Trend::Falling => Self::Falling,
            Trend::Stable => Self::Stable,
            Trend::Rising => Self::Rising,
        }
    }
}
