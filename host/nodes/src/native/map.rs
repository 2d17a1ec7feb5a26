use flyball_json::{ItemLimits, Json};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Each, NodeConfig, Transform, failed};
use crate::template::{Missing, Template};
use crate::{Processed, Processor};

/// Makes a new body by a template.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Map {
    /// The new body. `{{path.to.field}}` in its texts stands for what the item holds there; a text that is nothing else
    /// keeps the field's type. `{{.}}` is the whole item.
    template: Value,
    /// What a field that the item does not have means.
    #[serde(default)]
    on_missing: OnMissing,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OnMissing {
    #[default]
    Fail,
    Null,
}

impl NodeConfig for Map {
    fn build(self, limits: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        let template = Template::new(&self.template).map_err(|error| Problem::new("/template", error))?;
        let missing = match self.on_missing {
            OnMissing::Fail => Missing::Fails,
            OnMissing::Null => Missing::IsNull,
        };
        Ok(Each::boxed(Mapper { template, missing, limits: *limits }))
    }
}

struct Mapper {
    template: Template,
    missing: Missing,
    limits: ItemLimits,
}

impl Transform for Mapper {
    fn transform(&self, body: &Json) -> Processed {
        Ok(vec![self.template.fill(body, self.missing, &self.limits).map_err(failed)?])
    }
}
