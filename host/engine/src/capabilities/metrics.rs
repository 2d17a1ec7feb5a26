//! The capability `metrics`: numbers that a node plugin reports of itself: handed on to whoever runs the worker, who knows which names and how many.
//!
//! A call is counted and its bytes are weighed like any other of the host's. Where nobody takes numbers (a judge has no node, and
//! a plugin that is only tried has no pipeline), the plugin is told so and nothing happens.

use std::fmt;
use std::sync::Arc;

use flyball_model::Grants;
use wasmtime::component::Linker;

use super::{Capability, Whole};
use crate::bindings::metrics;
use crate::call::Call;

/// See the module's page.
pub(super) struct MetricsImport;

impl Capability for MetricsImport {
    const NAME: &'static str = "metrics";
    const IMPORTS: &'static [&'static str] = &["flyball:plugin/metrics@0.1.0"];

    fn granted(_: &Grants) -> bool {
        true
    }

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        metrics::add_to_linker::<Call, Whole>(linker, |call| call)
    }
}

type Take = dyn Fn(&str, f64) -> Result<(), String> + Send + Sync;

/// Takes a number by its name, or says why not.
#[derive(Clone)]
pub struct MetricSink(Arc<Take>);

impl MetricSink {
    /// Whatever is reported goes there.
    pub fn new(take: impl Fn(&str, f64) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

impl fmt::Debug for MetricSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricSink")
    }
}

impl metrics::Host for Call {
    fn set(&mut self, name: String, value: f64) -> wasmtime::Result<Result<(), String>> {
        self.enter()?;
        let name = self.gave(name)?;
        let taken = match &self.metrics {
            Some(MetricSink(take)) => take(&name, value),
            None => {
                Err("nobody takes numbers here: only the workers of a pipeline's node report any".to_owned())
            }
        };
        Ok(match taken {
            Ok(()) => Ok(()),
            Err(why) => Err(self.gave(why)?),
        })
    }
}
