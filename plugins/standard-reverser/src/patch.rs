//! The merge patch (RFC 7396) that leads from one configuration back to another.

use flyball_plugin::json::{Map, Value};

/// None: no merge patch leads there, as none can set a null.
pub(crate) fn between(from: &Value, to: &Value) -> Option<Value> {
    let patch = difference(from, to);
    let mut reached = from.clone();
    apply(&mut reached, &patch);
    (reached == *to).then_some(patch)
}

fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let gone = from.keys().filter(|key| !to.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = to.iter().filter(|(key, value)| from.get(*key) != Some(*value)).map(|(key, value)| {
        let value = from.get(key).map_or_else(|| value.clone(), |old| difference(old, value));
        (key.clone(), value)
    });
    Value::Object(gone.chain(changed).collect())
}

fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            apply(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
