//! What a plugin keeps between its calls, for one session, by the grant `state`. It has no other memory: each call is a
//! fresh instance. What a call sets is kept when the call has answered.

use alloc::string::String;
use alloc::vec::Vec;

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

/// Keeps nothing under this key any more.
pub fn delete(key: &str) {
    host::delete(key);
}

/// Every key, in their order.
pub fn keys() -> Vec<String> {
    host::keys()
}
