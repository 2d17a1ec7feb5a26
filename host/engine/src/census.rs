//! What a component would cost the compiler, counted before it is compiled.
//!
//! A compiler cannot be interrupted, and a few bytes can keep it busy for minutes: it takes time by the square of how deep
//! blocks nest and of how many values live across them, and a call of two bytes may pass a thousand values. So each
//! function is validated first, which takes time by its length alone, and steps are counted on the way, each of them
//! worth about the same time in the compiler. An honest plugin's count is some millions at most.

use wasmparser::{
    FuncValidator, FuncValidatorAllocations, FunctionBody, Operator, OperatorsReader, Parser, ValidPayload,
    Validator, ValidatorResources, WasmFeatures,
};

use crate::LoadError;
use crate::composition::{self, Composition, Refused};
use crate::quoted::plain;

/// Of one function.
const MOST_OF_ONE: u64 = 2_000_000;

/// Of all functions of a component.
const MOST_IN_ALL: u64 = 64_000_000;

/// What a function costs that does nothing: in memory rather than in time.
const FOR_EACH: u64 = 1_280;

/// Validates the component, and refuses one that would keep the compiler busy for too long.
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    let invalid =
        |error: wasmparser::BinaryReaderError| LoadError::Invalid { why: plain(&error.to_string(), 500) };
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let (mut allocations, mut all, mut number) = (FuncValidatorAllocations::default(), 0_u64, 0_u64);
    let mut composition = Composition::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(invalid)?;
        let valid = validator.payload(&payload).map_err(invalid)?;
        composition.add(&payload).map_err(overgrown)?;
        let ValidPayload::Func(function, body) = valid else { continue };
        let mut function = function.into_validator(std::mem::take(&mut allocations));
        let steps = steps_of(&mut function, &body).map_err(invalid)?;
        allocations = function.into_allocations();
        if steps > MOST_OF_ONE {
            return Err(LoadError::TooComplex { what: format!("its function {number}"), limit: MOST_OF_ONE });
        }
        all += steps;
        number += 1;
        if all > MOST_IN_ALL {
            return Err(LoadError::TooComplex { what: "it".to_owned(), limit: MOST_IN_ALL });
        }
    }
    Ok(())
}

fn overgrown(refused: Refused) -> LoadError {
    match refused {
        Refused::Large => LoadError::TooComplex {
            what: "what becomes of the components within it".to_owned(),
            limit: composition::MOST,
        },
        Refused::Unknown => LoadError::Invalid {
            why: "it instantiates a component that is given to it; put that component into it".to_owned(),
        },
    }
}

/// Stops counting a little above what one function may have.
fn steps_of(
    function: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
) -> Result<u64, wasmparser::BinaryReaderError> {
    let mut reader = body.get_binary_reader();
    function.read_locals(&mut reader)?;
    let mut reader = OperatorsReader::new(reader);
    let (mut steps, mut length) = (FOR_EACH, 0_u64);
    while !reader.eof() {
        let (operator, at) = reader.read_with_offset()?;
        length += 1;
        steps += 1 + passed(&operator, function) + carried(&operator, function, length);
        if steps > MOST_OF_ONE {
            return Ok(steps);
        }
        function.op(at, &operator)?;
    }
    reader.finish()?;
    Ok(steps)
}

/// How many values it takes and gives, over all places to which it may lead.
fn passed(operator: &Operator<'_>, function: &FuncValidator<ValidatorResources>) -> u64 {
    // None: it is not valid, which is found when it is validated.
    let (takes, gives) = operator.operator_arity(function).unwrap_or_default();
    let each = u64::from(takes) + u64::from(gives);
    match operator {
        Operator::BrTable { targets } => 4 * (u64::from(targets.len()) + 1) * (each + 1),
        _ => each,
    }
}

/// What it makes the compiler carry from block to block: the values that live there, and the blocks around it.
fn carried(operator: &Operator<'_>, function: &FuncValidator<ValidatorResources>, length: u64) -> u64 {
    match operator {
        Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::BrTable { .. } => {
            // A local that nothing has touched yet costs nothing.
            let live =
                u64::from(function.len_locals()).min(length) + u64::from(function.operand_stack_height());
            live / 2 + u64::from(function.control_stack_height()) / 32
        }
        _ => 0,
    }
}
