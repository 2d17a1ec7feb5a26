//! Sends HTTP requests for plugins and for nodes of pipelines ([`Endpoint`]). A plugin says what it wants, its policy's [`HttpGrant`] says what it may, and nothing
//! else of the network exists for it.
//!
//! What holds, whatever plugin and server do: only granted origins and methods; no address that is not public unless the
//! grant names it, checked on the very addresses that are connected to; redirects are checked like first requests; a
//! secret goes to the origins that are named for it, comes back to the plugin as its placeholder where a server says it
//! again, and stands in no error; bytes and time are bounded. What is not held: a server that says a secret in another
//! spelling (as base64, say) gives it away, so a secret is to be granted only towards servers that do not.

mod address;
mod pauses;
mod permit;
mod post;
mod secret;
mod send;

pub use permit::{Permit, unreachable_origins};
pub use post::{Endpoint, PostError};

use std::sync::Arc;

use flyball_model::{HttpGrant, Problem};
use tokio::runtime::Runtime;

/// What a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`
    pub method: String,
    /// Absolute.
    pub url: String,
    /// Names and values; `{{secret:NAME}}` in a value stands for a secret.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A server's answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Names and values. Values that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The policy does not allow it. Nothing was sent to where it does not allow.
    #[error("{0}")]
    Refused(String),
    /// It was sent, or tried, and no whole answer came.
    #[error("{0}")]
    Failed(String),
}

/// The thread on which requests are sent.
#[derive(Debug, Clone)]
pub struct Outbound(Arc<Thread>);

#[derive(Debug)]
struct Thread(Option<Runtime>);

impl Drop for Thread {
    fn drop(&mut self) {
        // What is under way is given up; waiting for it is not for whoever happens to be the last.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A thread that the machine does not give.
#[derive(Debug, thiserror::Error)]
#[error("the thread for plugins' HTTP requests does not start: {0}")]
pub struct OutboundError(#[from] std::io::Error);

impl Outbound {
    /// Starts the thread; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// The machine gives no thread.
    pub fn start() -> Result<Self, OutboundError> {
        // Whoever else installed one before has what is needed here too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("flyball-outbound")
            .enable_all()
            .build()?;
        Ok(Self(Arc::new(Thread(Some(runtime)))))
    }

    /// What a grant permits; its secrets are read now.
    ///
    /// # Errors
    ///
    /// What is wrong with the grant; pointers lead into it.
    pub fn permit(&self, grant: &HttpGrant) -> Result<Permit, Vec<Problem>> {
        Permit::new(self.clone(), grant, &[])
    }

    /// The same, with addresses for some names instead of the system's resolver: for tests of what a name may hide.
    ///
    /// # Errors
    ///
    /// What is wrong with the grant; pointers lead into it.
    pub fn permit_with_names(
        &self,
        grant: &HttpGrant,
        names: &[(&str, std::net::IpAddr)],
    ) -> Result<Permit, Vec<Problem>> {
        let names: Vec<_> = names.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        Permit::new(self.clone(), grant, &names)
    }

    /// Does this work on the thread and waits for it. None: the host is stopping. It is not for a thread that has other
    /// work.
    pub fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.runtime()?.spawn(async move {
            // Whoever asked waits for it.
            let _ = tell.send(work.await);
        });
        told.recv().ok()
    }

    pub(crate) fn runtime(&self) -> Option<&Runtime> {
        self.0.0.as_ref()
    }
}
