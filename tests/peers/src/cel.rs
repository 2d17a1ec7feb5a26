//! The rules as one CEL expression.

use anyhow::{Result, anyhow};
use cel::{Context, Program, Value};
use flyball_ports::Sight;

use crate::Peer;
use crate::input::{Found, input};

pub const NAME: &str = "CEL";

pub struct Expression {
    program: Program,
    asked: Value,
    answer: Value,
}

impl Expression {
    pub fn new() -> Result<Self> {
        let program = Program::compile(include_str!("../rules.cel")).map_err(|error| anyhow!("{error}"))?;
        Ok(Self { program, asked: Value::Null, answer: Value::Null })
    }
}

impl Peer for Expression {
    fn name(&self) -> &'static str {
        NAME
    }

    fn give(&mut self, sight: &Sight) -> Result<()> {
        self.asked = cel::to_value(&input(sight).nodes).map_err(|error| anyhow!("{error}"))?;
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        let mut context = Context::default();
        context.add_variable_from_value("nodes", self.asked.clone());
        self.answer = self.program.execute(&context).map_err(|error| anyhow!("{error}"))?;
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<Found>> {
        let json = self.answer.json().map_err(|error| anyhow!("{error}"))?;
        Ok(serde_json::from_value(json)?)
    }
}
