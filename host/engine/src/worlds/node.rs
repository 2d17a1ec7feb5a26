//! The world `node`: it is given a batch of items, and gives one answer for each.
//!
//! An answer is matched to its item by its place, so there must be as many. The table (`mod.rs`) calls this.

use std::sync::Arc;

use flyball_model::{Case, CaseAnswer, PluginKind};
use flyball_ports::{CallInput, ProcessedBytes, Said};
use serde_json::Value;

use super::lift::invalid;
use super::{World, of_another_kind, part_of};
use crate::bindings::processing;
use crate::error::CallError;

pub(super) struct Node;

impl World for Node {
    const KIND: PluginKind = PluginKind::Node;
    const INTERFACE: &'static str = "flyball:plugin/processing@0.1.0";
    const FUNCTION: &'static str = "process";
    const TYPES: &'static [&'static str] = &[];
    type Params = (Vec<processing::Item>,);
    type Results = (Vec<ProcessedBytes>,);

    fn lower(asked: &CallInput) -> Option<Self::Params> {
        let CallInput::Process(items) = asked else { return None };
        let items = items.iter().map(|(id, body)| processing::Item { id: *id, body: body.clone() });
        Some((items.collect(),))
    }

    fn lift(asked: &CallInput, (said,): Self::Results) -> Result<Said, CallError> {
        let given = match asked {
            CallInput::Process(items) => items.len(),
            _ => 0,
        };
        if said.len() == given {
            return Ok(Said::Processed(said));
        }
        Err(invalid("list", format!("{} answers for {given} items", said.len())))
    }

    fn of_case(case: &Case) -> Result<CallInput, &'static str> {
        let body = case.item.clone().unwrap_or_default().to_string().into_bytes();
        Ok(CallInput::Process(Arc::new([(1, body)])))
    }

    fn in_case(said: Said, case: &Case) -> CaseAnswer {
        let Said::Processed(mut said) = said else { return of_another_kind() };
        match said.pop() {
            Some(Ok(bodies)) => {
                let bodies: Option<Vec<Value>> =
                    bodies.iter().map(|body| serde_json::from_slice(body).ok()).collect();
                CaseAnswer { bodies: Some(bodies.unwrap_or_default()), ..CaseAnswer::default() }
            }
            Some(Err(why)) => CaseAnswer {
                failure: Some(part_of(why, case.expect.failure.as_ref())),
                ..CaseAnswer::default()
            },
            None => of_another_kind(),
        }
    }
}
