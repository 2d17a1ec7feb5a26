//! Why a host does not start, or does not take a session.

use std::error::Error;

use flyball_documents::DocumentFaults;
use flyball_engine::OpenError;
use flyball_files::FileError;
use flyball_model::{Problem, printable};

use crate::state_dir::StateDirError;

/// Why a host does not start, or does not take a session.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A manifest or policy is wrong; each fault has its place, cause and next step.
    #[error(transparent)]
    Documents(#[from] DocumentFaults),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Policies or plugins cannot be read.
    #[error(transparent)]
    Library(OpenError),
    /// The state directory cannot be had.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// Two sessions of one name.
    #[error("{}: another session is called {name:?} too; give each its own `name`", printable(.manifest))]
    SameName {
        /// Where the second one is described.
        manifest: String,
        /// The name.
        name: String,
    },
    /// A pipeline cannot be made as its manifest says.
    #[error("{} cannot start: {}", printable(.manifest), joined(.problems))]
    Pipeline {
        /// Where it is described.
        manifest: String,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// The host is stopping and takes no more sessions.
    #[error("the host is stopping, and takes no more sessions")]
    Stopping,
    /// Something that a host needs failed; its cause is its source.
    #[error("{doing}")]
    Failed {
        /// What was to be done, as in "cannot open the journal".
        doing: String,
        /// Why it was not.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
}

fn joined(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Says what was to be done where something failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, HostError>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, HostError> {
        self.map_err(|cause| HostError::Failed { doing: what.into(), cause: cause.into() })
    }
}

/// An error with its causes, in a line.
pub(crate) fn told(error: &HostError) -> String {
    let first: &(dyn Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
