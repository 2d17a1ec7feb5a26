//! A kind of plugin of a test's own, as any crate may add one: it looks at the observation and the window, and says how many
//! items will come. All that the engine needs to know of it is in this file; `main.rs` hands it to `Worlds::with`.

use flyball_engine::CallError;
use flyball_engine::worlds::{Past, Seen, World, looking, sight};
use flyball_model::{Case, CaseAnswer, PluginKind};
use flyball_ports::{CallInput, Said};
use serde_json::json;
use wasmtime::component::Resource;

/// Its WIT, which lies in a file of the contract for the contract's own kinds.
pub const WIT: &str = "
interface forecasting {
    use flyball:plugin/observed@0.1.0.{observation, window};
    forecast: func(now: borrow<observation>, past: borrow<window>, ahead: u32) -> u32;
}
world forecaster {
    import dice;
    export flyball:plugin/lifecycle@0.1.0;
    export forecasting;
}
";

/// More items than this come of no honest plugin.
const MOST: u32 = 1_000_000;

pub struct Forecaster;

impl World for Forecaster {
    const KIND: PluginKind = PluginKind::of("forecaster");
    const INTERFACE: &'static str = "toy:weather/forecasting@0.1.0";
    const FUNCTION: &'static str = "forecast";
    const TYPES: &'static [&'static str] = &[];
    type Params = (Resource<Seen>, Resource<Past>, u32);
    type Results = (u32,);

    fn lower(asked: &CallInput) -> Option<Self::Params> {
        let CallInput::Other { sight: Some(_), question } = asked else { return None };
        let ahead = question.get("ahead")?.as_u64()?.try_into().ok()?;
        let (now, past) = looking();
        Some((now, past, ahead))
    }

    fn lift(_: &CallInput, (items,): (u32,)) -> Result<Said, CallError> {
        if items > MOST {
            let why = format!("{items}; at most {MOST}");
            return Err(CallError::InvalidAnswer { field: "forecast", why });
        }
        Ok(Said::Other(json!({ "items": items })))
    }

    fn of_case(case: &Case) -> Result<CallInput, &'static str> {
        let question = case.question.clone().ok_or("`question`")?;
        Ok(CallInput::Other { sight: Some(sight(case)), question })
    }

    fn in_case(said: Said, _: &Case) -> CaseAnswer {
        match said {
            Said::Other(answer) => CaseAnswer { answer: Some(answer), ..CaseAnswer::default() },
            _ => CaseAnswer::default(),
        }
    }
}
