//! The world `catalog`: it is asked nothing, and lists node types.
//!
//! What a catalog says of a type's reach does not count, as only the data plane knows it. The table (`mod.rs`) calls this.

use flyball_model::{Case, CaseAnswer, NodeOffer, NodeType, PluginKind, Reach};
use flyball_ports::{CallInput, Said};

use super::{World, lift, of_another_kind};
use crate::bindings::{listing, offers};
use crate::error::CallError;
use crate::quoted::{LONGEST_REASON, plain};

pub(super) struct Catalog;

impl World for Catalog {
    const KIND: PluginKind = PluginKind::Catalog;
    const INTERFACE: &'static str = "flyball:plugin/listing@0.1.0";
    const FUNCTION: &'static str = "list-types";
    const TYPES: &'static [&'static str] = &["flyball:plugin/offers@0.1.0"];
    type Params = ();
    type Results = (Result<Vec<offers::NodeType>, listing::Failure>,);

    fn lower(asked: &CallInput) -> Option<()> {
        matches!(asked, CallInput::List).then_some(())
    }

    fn lift(_: &CallInput, (said,): Self::Results) -> Result<Said, CallError> {
        match said {
            Ok(types) => Ok(Said::NodeTypes(types.into_iter().map(node_type).collect::<Result<_, _>>()?)),
            Err(failure) => Err(CallError::Declined { message: plain(&failure.message, LONGEST_REASON) }),
        }
    }

    fn of_case(_: &Case) -> Result<CallInput, &'static str> {
        Ok(CallInput::List)
    }

    fn in_case(said: Said, _: &Case) -> CaseAnswer {
        let Said::NodeTypes(types) = said else { return of_another_kind() };
        let names = types.into_iter().map(|one| one.name).collect();
        CaseAnswer { types: Some(names), ..CaseAnswer::default() }
    }
}

fn node_type(said: offers::NodeType) -> Result<NodeType, CallError> {
    Ok(NodeType {
        name: said.name,
        summary: said.summary,
        provides: said.provides,
        offers: said
            .offers
            .into_iter()
            .map(|offer| NodeOffer {
                executor: offer.executor.into(),
                relative_speed: offer.relative_speed.filter(|speed| speed.is_finite()),
                relative_cost: offer.relative_cost.filter(|cost| cost.is_finite()),
            })
            .collect(),
        config_schema: said.config_schema.map(|text| lift::json("config-schema", &text)).transpose()?,
        // Whatever a plugin lists: only the data plane's own word counts.
        reach: Reach::Outside,
    })
}
