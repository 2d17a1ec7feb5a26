//! What of a configuration must not be seen by anybody but the data plane: what its type's schema marks as secret, what
//! stands under a name like `password`, and the user part of URLs. A mask takes its place.

use serde_json::Value;

use crate::marks::{Place, step};
use crate::{NodeType, Reach};

/// What stands in the place of a masked value.
pub const MASKED: &str = "(masked)";

/// How every mask begins, those of further values at one place too: `(masked 2)`.
const MASK: &str = "(masked";

/// Names of fields whose values are masked, with all that end in one: `db_password`, `x-api-key`.
pub const SECRET_FIELDS: [&str; 14] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
    "authorization",
    "credentials",
    "cookie",
    "connection_string",
];

/// Schemes whose user part is one with any number of slashes, backward ones too, before it (WHATWG URL).
const LENIENT: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];

/// What is longer is no scheme.
const LONGEST_SCHEME: usize = 64;

/// Which fields hold a secret by their names.
#[derive(Debug, Clone)]
pub struct SecretNames(Vec<String>);

impl Default for SecretNames {
    fn default() -> Self {
        Self::and(&[])
    }
}

impl SecretNames {
    /// The usual names and these.
    pub fn and(more: &[String]) -> Self {
        let usual = SECRET_FIELDS.into_iter().map(plain);
        Self(usual.chain(more.iter().map(|name| plain(name))).filter(|name| !name.is_empty()).collect())
    }

    /// Whether a field of this name holds a secret.
    pub fn hides(&self, field: &str) -> bool {
        let field = plain(field);
        self.0.iter().any(|name| field.ends_with(name.as_str()))
    }
}

/// `X-API-Key`, `x_api_key` and `apiKey` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The mask of the n-th value at a place, counted from 1. 0: of one that nobody keeps.
pub fn mask_number(number: usize) -> String {
    match number {
        0 => format!("{MASK}, not kept)"),
        1 => MASKED.to_owned(),
        number => format!("{MASK} {number})"),
    }
}

/// Where a mask stands in this configuration; none: nowhere.
pub fn mask_in(value: &Value) -> Option<String> {
    fn find(pointer: &str, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => text.contains(MASK).then(|| pointer.to_owned()),
            Value::Object(fields) => fields.iter().find_map(|(key, value)| {
                let at = step(pointer, key);
                if key.contains(MASK) { Some(at) } else { find(&at, value) }
            }),
            Value::Array(values) => values
                .iter()
                .enumerate()
                .find_map(|(index, value)| find(&format!("{pointer}/{index}"), value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }
    find("", value)
}

/// Masks the secrets of a configuration, and says how many. `number` says of a place and its value which of the values
/// that stood there it is; the mask names it, so that two values at one place can be told apart, and neither be read.
/// What is masked already stays. A type that reaches outside and whose schema does not speak of a place is masked there;
/// without a type only names and URLs count.
pub fn mask_config(
    config: &mut Value,
    node_type: Option<&NodeType>,
    names: &SecretNames,
    number: &mut dyn FnMut(&str, &Value) -> usize,
) -> u32 {
    let schema = node_type.and_then(|of| of.config_schema.as_ref());
    let outside = node_type.is_some_and(|of| of.reach == Reach::Outside);
    Masking { names, outside, number }.at(&Place::whole(schema), "", "", config)
}

/// The same with one mask for every value.
pub fn mask_plainly(config: &mut Value, node_type: Option<&NodeType>, names: &SecretNames) -> u32 {
    mask_config(config, node_type, names, &mut |_, _| 1)
}

struct Masking<'a> {
    names: &'a SecretNames,
    outside: bool,
    number: &'a mut dyn FnMut(&str, &Value) -> usize,
}

impl Masking<'_> {
    fn at(&mut self, place: &Place<'_>, pointer: &str, name: &str, value: &mut Value) -> u32 {
        let marked = place.mark.secret || (self.outside && place.mark.unknown && !pointer.is_empty());
        let named = self.names.hides(name);
        match value {
            Value::Null => 0,
            Value::Object(_) | Value::Array(_) if named && !marked => self.whole(pointer, value),
            Value::Object(fields) => fields
                .iter_mut()
                .map(|(key, value)| self.at(&place.key(key), &step(pointer, key), key, value))
                .sum(),
            Value::Array(values) => values
                .iter_mut()
                .enumerate()
                .map(|(index, value)| self.at(&place.item(index), &format!("{pointer}/{index}"), "", value))
                .sum(),
            Value::String(text) if marked || named => {
                if text.is_empty() || text.contains(MASK) || is_placeholder(text) {
                    return 0;
                }
                self.whole(pointer, value)
            }
            Value::String(text) => {
                let Some(masked) = mask_url(text, self.names, MASKED) else { return 0 };
                let mask = mask_number((self.number)(pointer, value));
                let text = if let Value::String(text) = &*value { text.as_str() } else { "" };
                *value = Value::String(mask_url(text, self.names, &mask).unwrap_or(masked));
                1
            }
            Value::Bool(_) | Value::Number(_) if marked || named => self.whole(pointer, value),
            Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    fn whole(&mut self, pointer: &str, value: &mut Value) -> u32 {
        *value = Value::String(mask_number((self.number)(pointer, value)));
        1
    }
}

/// A URL without its user part and without the parameters of its query that are called like a secret; none: there is
/// nothing to mask.
pub fn mask_url(text: &str, names: &SecretNames, mask: &str) -> Option<String> {
    if !begins_like_a_url(text) {
        return None;
    }
    // What a parser of URLs passes over must not hide a user from this.
    let text: String = text
        .trim_matches(|char: char| char <= ' ')
        .chars()
        .filter(|char| !matches!(char, '\t' | '\r' | '\n'))
        .collect();
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|char: char| char.is_ascii_alphabetic())
        && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char));
    if !is_scheme {
        return None;
    }
    let lenient = LENIENT.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let slash = |char: char| char == '/' || (lenient && char == '\\');
    if !lenient && !rest.starts_with("//") {
        return None;
    }
    let authority = rest.trim_start_matches(slash);
    let slashes = rest.strip_suffix(authority).unwrap_or_default();
    let end = authority.find(|char: char| slash(char) || "?#".contains(char)).unwrap_or(authority.len());
    let (authority, behind) = authority.split_at(end);
    let mut changed = false;
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() && !user.contains(MASK) && !is_placeholder(user) => {
            changed = true;
            format!("{mask}@{host}")
        }
        _ => authority.to_owned(),
    };
    let behind = match behind.split_once('?') {
        None => behind.to_owned(),
        Some((path, query)) => {
            let (query, fragment) =
                query.split_once('#').map_or((query, None), |(query, fragment)| (query, Some(fragment)));
            let pairs: Vec<String> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((name, value))
                        if names.hides(name) && !is_placeholder(value) && !value.contains(MASK) =>
                    {
                        changed = true;
                        format!("{name}={mask}")
                    }
                    _ => pair.to_owned(),
                })
                .collect();
            let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
            format!("{path}?{}{fragment}", pairs.join("&"))
        }
    };
    changed.then(|| format!("{scheme}:{slashes}{authority}{behind}"))
}

/// A look that copies nothing: most texts are no URL, and one may be long.
fn begins_like_a_url(text: &str) -> bool {
    let mut significant = text.trim_start_matches(|char: char| char <= ' ').chars();
    let significant = significant.by_ref().filter(|char| !matches!(char, '\t' | '\r' | '\n'));
    let mut scheme = significant.take(LONGEST_SCHEME);
    scheme.find(|char| !(char.is_ascii_alphanumeric() || "+-.".contains(*char))) == Some(':')
}

/// Whether this is nothing but a placeholder of the host's, which holds no secret: `{{secret:NAME}}`, with or without a
/// scheme before it (`Bearer {{secret:NAME}}`).
pub fn is_placeholder(text: &str) -> bool {
    let (scheme, last) = text.trim().split_once(' ').unwrap_or(("", text.trim()));
    if scheme.len() > 10 || !scheme.chars().all(|char| char.is_ascii_alphabetic()) {
        return false;
    }
    let named = last.strip_prefix("{{secret:").and_then(|rest| rest.strip_suffix("}}"));
    named.is_some_and(|name| !name.contains("}}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn command() -> NodeType {
        NodeType {
            name: "command".to_owned(),
            summary: String::new(),
            provides: Vec::new(),
            offers: Vec::new(),
            config_schema: Some(json!({
                "properties": {
                    "command": { "prefixItems": [{}], "items": { "writeOnly": true }, "x-decides-reach": true },
                    "env": { "writeOnly": true, "additionalProperties": { "type": "string" } },
                    "url": {},
                    "limit": {},
                },
            })),
            reach: Reach::Outside,
        }
    }

    fn masked(mut config: Value) -> Value {
        mask_plainly(&mut config, Some(&command()), &SecretNames::default());
        config
    }

    #[test]
    fn what_the_schema_marks_is_masked_and_the_rest_stays() {
        let config = json!({ "command": ["sh", "--token", "t"], "env": { "DB": "x", "E": "" }, "url": "http://h/", "limit": 3 });
        let wanted = json!({ "command": ["sh", MASKED, MASKED], "env": { "DB": MASKED, "E": "" }, "url": "http://h/", "limit": 3 });
        assert_eq!(masked(config), wanted);
    }

    #[test]
    fn what_a_type_that_reaches_outside_does_not_declare_is_masked() {
        assert_eq!(masked(json!({ "cwd": "/x", "limit": 1 })), json!({ "cwd": MASKED, "limit": 1 }));
    }

    #[test]
    fn what_is_masked_already_stays_and_masking_twice_is_masking_once() {
        let once =
            masked(json!({ "command": ["sh", "x"], "env": { "A": 7 }, "url": "http://u:p@h/?token=1" }));
        assert_eq!(masked(once.clone()), once);
    }

    #[test]
    fn the_user_part_of_a_url_is_masked_however_it_is_written() {
        let names = SecretNames::default();
        for (url, shown) in [
            ("http://me:pass@host/x", "http://(masked)@host/x"),
            ("HTTP:me:pass@host", "HTTP:(masked)@host"),
            ("https:/me:pass@host", "https:/(masked)@host"),
            ("http:\\\\me:pass@host\\x", "http:\\\\(masked)@host\\x"),
            (" ht\ttp://me:pass@host", "http://(masked)@host"),
            ("http://me:p@ss@host/a@b", "http://(masked)@host/a@b"),
            ("postgres://me:pass@host/db", "postgres://(masked)@host/db"),
            ("http://host/x?page=2&api_key=k#f", "http://host/x?page=2&api_key=(masked)#f"),
        ] {
            assert_eq!(mask_url(url, &names, MASKED).as_deref(), Some(shown), "{url}");
        }
        for url in
            ["http://host/a@b", "http://host?x=a@b", "mailto:me@host", "a text: me@host", "http://host#a@b"]
        {
            assert_eq!(mask_url(url, &names, MASKED), None, "{url}");
        }
    }

    #[test]
    fn a_mask_is_found_wherever_it_stands() {
        assert_eq!(mask_in(&json!({ "a": [{ "b": "http://(masked 2)@h" }] })), Some("/a/0/b".to_owned()));
        assert_eq!(mask_in(&json!({ "(masked)": 1 })), Some("/(masked)".to_owned()));
        assert_eq!(mask_in(&json!({ "a": "masked" })), None);
    }
}
