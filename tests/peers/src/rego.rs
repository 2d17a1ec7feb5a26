//! The rules as Rego in regorus: by its virtual machine, and by its interpreter.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use flyball_ports::Sight;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{CompiledPolicy, PolicyModule, Value};

use crate::Peer;
use crate::input::{Found, input};

pub const MACHINE: &str = "Rego, regorus' virtual machine";
pub const INTERPRETER: &str = "Rego, regorus' interpreter";

const MAX_INSTRUCTIONS: usize = 10_000_000;

const RULE: &str = "data.rules.findings";

fn compiled() -> Result<CompiledPolicy> {
    let module = PolicyModule { id: "rules.rego".into(), content: include_str!("../rules.rego").into() };
    regorus::compile_policy_with_entrypoint(Value::new_object(), &[module], RULE.into())
}

fn given(sight: &Sight) -> Result<Value> {
    Ok(serde_json::from_value(serde_json::to_value(input(sight))?)?)
}

fn told(answer: &Value) -> Result<Vec<Found>> {
    Ok(serde_json::from_value(serde_json::to_value(answer)?)?)
}

pub struct Machine {
    machine: RegoVM,
    answer: Value,
}

impl Machine {
    pub fn new() -> Result<Self> {
        let program =
            Compiler::compile_from_policy(&compiled()?, &[RULE]).map_err(|error| anyhow!("{error:?}"))?;
        let mut machine = RegoVM::new();
        machine.load_program(Arc::clone(&program));
        // Its default ends a judgement of 500 nodes.
        machine.set_max_instructions(MAX_INSTRUCTIONS);
        Ok(Self { machine, answer: Value::Undefined })
    }
}

impl Peer for Machine {
    fn name(&self) -> &'static str {
        MACHINE
    }

    fn give(&mut self, sight: &Sight) -> Result<()> {
        self.machine.set_input(given(sight)?);
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        self.answer = self.machine.execute().map_err(|error| anyhow!("{error}"))?;
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<Found>> {
        told(&self.answer)
    }
}

pub struct Interpreter {
    policy: CompiledPolicy,
    asked: Value,
    answer: Value,
}

impl Interpreter {
    pub fn new() -> Result<Self> {
        Ok(Self { policy: compiled()?, asked: Value::Undefined, answer: Value::Undefined })
    }
}

impl Peer for Interpreter {
    fn name(&self) -> &'static str {
        INTERPRETER
    }

    fn give(&mut self, sight: &Sight) -> Result<()> {
        self.asked = given(sight)?;
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        self.answer = self.policy.eval_with_input(self.asked.clone())?;
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<Found>> {
        told(&self.answer)
    }
}
