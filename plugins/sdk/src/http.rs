//! Requests to HTTP servers, by the grant `http`: the policy names the origins, the methods and the bounds, and the host
//! sends. Importing this module's functions makes the plugin one that serves only where it is granted.
//!
//! ```
//! use flyball_plugin::http::{self, Failure, Response};
//! use flyball_plugin::testing::with_http;
//!
//! fn ask() -> Result<Response, Failure> {
//!     http::get("https://registry.example.com/types").header("authorization", "Bearer {{secret:registry}}").send()
//! }
//!
//! // In a test, the test answers.
//! let answers = |request: &http::Request| {
//!     assert_eq!(request.headers[0].1, "Bearer {{secret:registry}}");
//!     Ok(Response { status: 200, headers: Vec::new(), body: b"[]".to_vec() })
//! };
//! assert_eq!(with_http(answers, ask).unwrap().json().unwrap(), flyball_plugin::json::json!([]));
//! assert!(matches!(ask(), Err(Failure::Refused(_))), "nothing is granted by default");
//! ```

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

pub use crate::bindings::http::{Failure, Request, Response};

/// A request that asks for something.
pub fn get(url: &str) -> Asking {
    request("GET", url)
}

/// A request that brings something.
pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Asking {
    let mut asking = request("POST", url);
    asking.0.body = body.into();
    asking
}

/// A request of any method.
pub fn request(method: &str, url: &str) -> Asking {
    Asking(Request { method: method.to_owned(), url: url.to_owned(), headers: Vec::new(), body: Vec::new() })
}

/// A request that is being written.
#[derive(Debug, Clone)]
pub struct Asking(Request);

impl Asking {
    /// With this header. The host puts a secret in the place of `{{secret:NAME}}`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends it and waits for the whole answer; the time counts as the call's.
    ///
    /// # Errors
    /// The policy does not allow it, or no whole answer came.
    pub fn send(self) -> Result<Response, Failure> {
        #[cfg(target_family = "wasm")]
        return crate::bindings::http::send(&self.0);
        #[cfg(not(target_family = "wasm"))]
        crate::testing::answer(&self.0)
    }
}

impl Failure {
    /// In a sentence.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Failed(why) => why,
        }
    }
}

impl Response {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none, and where.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| alloc::string::ToString::to_string(&error))
    }
}
