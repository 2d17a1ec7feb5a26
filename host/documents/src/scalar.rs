use serde_json::{Number, Value};

/// What a scalar without quotes stands for, by the core schema of YAML 1.2: `yes` and `010` are not special.
/// None: a number that JSON has not (`.nan`, `.inf`, or too large).
pub(crate) fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        _ => {}
    }
    if let Some(whole) = whole(text) {
        return Some(Value::Number(whole));
    }
    if is_special(text) {
        return None;
    }
    if looks_like_a_number(text) {
        return text.parse().ok().and_then(Number::from_f64).map(Value::Number);
    }
    Some(Value::String(text.to_owned()))
}

fn whole(text: &str) -> Option<Number> {
    let digits = |text: &str, radix| u64::from_str_radix(text, radix).ok().map(Number::from);
    if let Some(hex) = text.strip_prefix("0x") {
        return hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| digits(hex, 16))?;
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return octal.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits(octal, 8))?;
    }
    if text == "-0" {
        return None;
    }
    text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok()
}

fn is_special(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn looks_like_a_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let some_digits = |text: &str| !text.is_empty() && digits(text);
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()),
        None => some_digits(mantissa),
    };
    mantissa_fits
        && exponent.is_none_or(|exponent| some_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}
