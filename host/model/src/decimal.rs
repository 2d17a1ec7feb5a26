use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const ONE: u64 = 1_000_000;

/// The largest; a sum of them is still exact.
const MOST: f64 = 1e12;

/// A number that is not negative, exact to six decimals: a price, money in whatever currency the prices are, a
/// temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Decimal(u64);

/// A number that is no [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a number from 0 to 1e12")]
pub struct NoDecimal(f64);

impl Decimal {
    /// So many millionths.
    pub const fn millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    pub const fn as_millionths(self) -> u64 {
        self.0
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What so many tokens cost at this price for a million of them, in millionths of a millionth.
    pub fn of_tokens(self, tokens: u64) -> u128 {
        u128::from(self.0).saturating_mul(u128::from(tokens))
    }

    /// From millionths of a millionth, rounded up: what costs something never costs nothing.
    pub fn from_fine(fine: u128) -> Self {
        Self(u64::try_from(fine.div_ceil(u128::from(ONE))).unwrap_or(u64::MAX))
    }
}

impl TryFrom<f64> for Decimal {
    type Error = NoDecimal;

    fn try_from(number: f64) -> Result<Self, NoDecimal> {
        if !(0.0..=MOST).contains(&number) {
            return Err(NoDecimal(number));
        }
        Ok(Self((number * ONE as f64).round() as u64))
    }
}

impl From<Decimal> for f64 {
    fn from(decimal: Decimal) -> Self {
        decimal.0 as Self / ONE as Self
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f64::from(*self).fmt(f)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": MOST })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_and_written_as_a_plain_number() {
        for text in ["0.0", "0.25", "3.0", "1234.000001"] {
            let read: Decimal = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        for wrong in ["-1", "1e13", "\"3\""] {
            assert!(serde_json::from_str::<Decimal>(wrong).is_err(), "{wrong}");
        }
        assert!(Decimal::try_from(f64::NAN).is_err());
    }

    #[test]
    fn one_token_of_a_cheap_model_costs_something() {
        let price = Decimal::try_from(0.1).unwrap();
        assert_eq!(Decimal::from_fine(price.of_tokens(1)), Decimal::millionths(1));
        assert_eq!(Decimal::from_fine(price.of_tokens(1_000_000)), price);
    }
}
