use alloc::string::ToString as _;
use core::cmp::Ordering;
use core::fmt;

use hifijson::num::LexWrite as _;
use smol_str::SmolStr;

use crate::limits::text_bytes;

/// A number as it was written. It is compared by its exact value, whatever its size and however it is written.
#[derive(Clone)]
pub struct Number(SmolStr);

impl Number {
    /// A text that is, as a whole, a number in JSON; none: it is not (`007`, `+1`, `.5`, `NaN`).
    pub fn parse(text: &str) -> Option<Self> {
        let mut lexer = hifijson::SliceLexer::new(text.as_bytes());
        let (written, _) = lexer.num_string().validated().ok()?;
        (written.len() == text.len()).then(|| Self::as_lexed(written))
    }

    /// What a lexer has found to be a number.
    pub(crate) fn as_lexed(text: &str) -> Self {
        Self(SmolStr::new(text))
    }

    /// A finite number; JSON has no others.
    pub fn from_f64(number: f64) -> Option<Self> {
        serde_json::Number::from_f64(number).map(|number| Self::from(&number))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest floating-point number; infinite, where it is too large for one.
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// A whole number that fits.
    pub fn to_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// A whole number that fits.
    pub fn to_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// What is on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        text_bytes(&self.0)
    }

    fn decimal(&self) -> Decimal<'_> {
        Decimal::of(&self.0)
    }
}

/// A number taken apart, without the zeros that say nothing: ±0.d₁d₂d₃… × 10^`exponent`, where d₁ is not zero.
struct Decimal<'a> {
    negative: bool,
    /// The digits before and after the point; a zero has none.
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i128,
}

/// An exponent of more digits than this counts as the largest: numbers beyond it are equal to each other.
const LARGEST_EXPONENT: i128 = 10_i128.pow(30);

impl<'a> Decimal<'a> {
    fn of(text: &'a str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let down = exponent.starts_with('-');
        let exponent = exponent.trim_start_matches(['+', '-']).trim_start_matches('0');
        let exponent = match exponent.len() {
            0 => 0,
            1..=30 => exponent.parse().unwrap_or(LARGEST_EXPONENT),
            _ => LARGEST_EXPONENT,
        };
        let exponent: i128 = if down { -exponent } else { exponent };
        let whole = whole.trim_start_matches('0');
        let mut fraction = fraction.trim_end_matches('0');
        let mut places = whole.len() as i128;
        if whole.is_empty() {
            let leading = fraction.len();
            fraction = fraction.trim_start_matches('0');
            places = fraction.len() as i128 - leading as i128;
        }
        let whole = if fraction.is_empty() { whole.trim_end_matches('0') } else { whole };
        let zero = whole.is_empty() && fraction.is_empty();
        Self {
            negative: negative && !zero,
            whole: whole.as_bytes(),
            fraction: fraction.as_bytes(),
            exponent: if zero { 0 } else { exponent.saturating_add(places) },
        }
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    fn sign(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn digits(&self) -> impl Iterator<Item = &u8> {
        self.whole.iter().chain(self.fraction)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let magnitude = || self.exponent.cmp(&other.exponent).then_with(|| self.digits().cmp(other.digits()));
        self.sign().cmp(&other.sign()).then_with(|| match self.sign() {
            0 => Ordering::Equal,
            1 => magnitude(),
            _ => magnitude().reverse(),
        })
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.decimal().compare(&other.decimal()) == Ordering::Equal
    }
}

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.decimal().compare(&other.decimal())
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(SmolStr::from(number.to_string()))
    }
}

impl From<&serde_json::Number> for Number {
    fn from(number: &serde_json::Number) -> Self {
        Self(SmolStr::from(number.to_string()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
