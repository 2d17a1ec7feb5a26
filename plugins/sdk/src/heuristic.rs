//! Does this session need attention, and why?

use alloc::string::String;
use alloc::vec::Vec;

use bindings::exports::flyball::plugin::assessing::Guest;

use crate::{About, Check, Finding, Observation, Settings, Side, Window};

crate::world::world!(
    "package flyball:sdk; world sdk-heuristic { export flyball:plugin/assessing@0.1.0; }",
    "sdk-heuristic",
    "__export_heuristic",
    [
        "flyball:plugin/observed@0.1.0" => observed,
        "flyball:plugin/judgement@0.1.0" => judgement
]);

/// Makes the crate a plugin of world `heuristic`: `heuristic!(Type)`, where the type is a [`Heuristic`](crate::Heuristic).
#[macro_export]
macro_rules! heuristic {
    ($plugin:ty $(, wants: { $($grant:literal: $why:literal),* $(,)? })?) => {
        $crate::__plugin!($plugin, Heuristic, heuristic, __export_heuristic, [$($($grant: $why),*)?]);
    };
}

pub use bindings::exports::flyball::plugin::assessing::Assessment;

/// Says what needs attention.
pub trait Heuristic: Settings {
    /// Without findings: all is well. What was looked at and passed explains a quiet tick to people.
    fn assess(&self, now: &Observation, past: &Window) -> Assessment;
}

impl<P: Heuristic + About + 'static> Guest for Exported<P> {
    fn assess(
        now: &crate::bindings::observed::Observation,
        past: &crate::bindings::observed::Window,
    ) -> Assessment {
        crate::begin();
        P::load().assess(&Observation::lent(now), &Window::lent(past))
    }
}

impl Assessment {
    /// Adds a finding.
    pub fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

impl Default for Assessment {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<Finding>> for Assessment {
    fn from(findings: Vec<Finding>) -> Self {
        Self { findings, checks: Vec::new() }
    }
}

impl FromIterator<Finding> for Assessment {
    fn from_iter<T: IntoIterator<Item = Finding>>(findings: T) -> Self {
        findings.into_iter().collect::<Vec<_>>().into()
    }
}

/// One rule, and of all that it is held against what comes nearest to its limit, or is furthest beyond it.
///
/// ```
/// use flyball_plugin::heuristic::Rule;
/// use flyball_plugin::Side;
///
/// let mut rule = Rule::new("queue-pressure", "queue-depth", Side::Above);
/// rule.saw(Some(0), 10.0, 80.0);
/// rule.saw(Some(1), 30.0, 40.0);
/// rule.saw(Some(2), f64::NAN, 40.0);
/// let check = rule.check().unwrap();
/// assert_eq!((check.node, check.value, check.limit), (Some(1), Some(30.0), 40.0));
/// ```
#[derive(Debug, Clone)]
pub struct Rule {
    code: &'static str,
    metric: &'static str,
    bad: Side,
    /// How far beyond its limit the nearest is, as a part of that: the larger the worse.
    beyond: f64,
    node: Option<u32>,
    value: f64,
    limit: f64,
    /// Of the node that was nearest when it was said.
    note: Option<(Option<u32>, String)>,
}

impl Rule {
    /// That makes findings of this code when this number is on that side of a limit.
    pub const fn new(code: &'static str, metric: &'static str, bad: Side) -> Self {
        Self { code, metric, bad, beyond: f64::NEG_INFINITY, node: None, value: 0.0, limit: 0.0, note: None }
    }

    /// A number of the node of this number, or of the whole pipeline, held against its limit. What is not finite counts
    /// as not read.
    #[inline]
    pub fn saw(&mut self, node: Option<u32>, value: f64, limit: f64) {
        let beyond = if limit == 0.0 { value } else { (value - limit) / limit.abs() };
        let beyond = if self.bad == Side::Below { -beyond } else { beyond };
        // NaN is not larger, either.
        if beyond > self.beyond && beyond < f64::INFINITY {
            (self.beyond, self.node, self.value, self.limit) = (beyond, node, value, limit);
        }
    }

    /// What else it takes to make a finding of that node, where its number alone does not.
    pub fn lacks(&mut self, node: Option<u32>, note: impl FnOnce() -> String) {
        if self.node == node {
            self.note = Some((node, note()));
        }
    }

    /// None: nothing was held against it.
    pub fn check(&self) -> Option<Check> {
        if self.beyond == f64::NEG_INFINITY {
            return None;
        }
        let note = self.note.as_ref().filter(|(of, _)| *of == self.node).map(|(_, note)| note.clone());
        Some(Check {
            code: self.code.into(),
            node: self.node,
            metric: self.metric.into(),
            value: Some(self.value),
            limit: self.limit,
            bad: self.bad,
            note: note.unwrap_or_default(),
        })
    }
}
