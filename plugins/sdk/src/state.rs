//! What a plugin keeps between its calls, for one session, by the grant `state`. It has no other memory: each call is a
//! fresh instance. What a call sets is kept when the call has answered, with a failure too. What a validator sets while it lets
//! an action pass is kept only once that action is done: see [`validator`](crate::validator).
//!
//! ```
//! use flyball_plugin::json::json;
//! use flyball_plugin::{state, testing};
//!
//! fn count() -> Result<u64, String> {
//!     let before = state::get_json("seen").and_then(|seen| seen.as_u64()).unwrap_or(0);
//!     state::set_json("seen", &json!(before + 1))?;
//!     Ok(before + 1)
//! }
//!
//! let (counted, kept) = testing::with_state([("seen".to_owned(), b"41".to_vec())].into(), count);
//! assert_eq!(counted, Ok(42));
//! assert_eq!(kept["seen"], b"42");
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

#[cfg(target_family = "wasm")]
use crate::bindings::state as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::keeping as host;

/// None: nothing is kept under this key.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::get(key)
}

/// Keeps this.
///
/// # Errors
/// Keys and values together are over the bound that the policy sets.
pub fn set(key: &str, value: &[u8]) -> Result<(), String> {
    host::set(key, value)
}

/// As JSON. None: nothing is kept under this key, or it is no JSON.
pub fn get_json(key: &str) -> Option<Value> {
    serde_json::from_slice(&get(key)?).ok()
}

/// Keeps this as JSON.
///
/// # Errors
/// Keys and values together are over the bound that the policy sets.
pub fn set_json(key: &str, value: &Value) -> Result<(), String> {
    set(key, value.to_string().as_bytes())
}

/// Keeps nothing under this key any more.
pub fn delete(key: &str) {
    host::delete(key);
}

/// Every key, in their order.
pub fn keys() -> Vec<String> {
    host::keys()
}
