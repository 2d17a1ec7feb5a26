use std::io::IsTerminal;
use std::process::ExitCode;

use flyball_host::{AskError, HostError, StateDirError};
use flyball_model::printable;

use crate::output::{errln, write_error};

/// Why a command ends without having done what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A document is wrong; its faults are shown with their places.
    #[error(transparent)]
    Documents(#[from] flyball_documents::DocumentFaults),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] flyball_files::FileError),
    /// It failed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// It failed and everything was said already.
    #[error("")]
    Said,
    /// No host answers.
    #[error("{0}")]
    NoHost(String),
    /// An item disappeared.
    #[error("{0}")]
    Unbalanced(String),
    /// A recorded call is another now.
    #[error("{0}")]
    Differs(String),
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Documents(faults) => Self::Documents(faults),
            HostError::File(fault) => Self::File(fault),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<StateDirError> for Failure {
    fn from(error: StateDirError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Self::Failed(error.into())
    }
}

impl Failure {
    /// Says why, on standard error.
    pub(crate) fn tell(&self) {
        match self {
            Self::Documents(faults) => tell_faults(faults),
            Self::Said => {}
            // A line or a colour that a name or a message brings along does not look like one of ours.
            other => {
                let text = other.to_string();
                let lines: Vec<_> = text.lines().map(printable).collect();
                errln!("flyball: {}", lines.join("\n  "));
            }
        }
    }
}

/// With the lines around each fault on a terminal; one line for each where a program reads it.
fn tell_faults(faults: &flyball_documents::DocumentFaults) {
    if std::io::stderr().is_terminal() {
        for fault in faults.iter() {
            write_error(&format!("{:?}", miette::Report::new(fault.clone())));
        }
    } else {
        errln!("{faults}");
    }
}

/// Says why, and gives the exit code that the help documents.
pub(crate) fn code_of(done: Result<(), Failure>) -> ExitCode {
    let Err(failure) = done else { return ExitCode::SUCCESS };
    failure.tell();
    ExitCode::from(match failure {
        Failure::NoHost(_) => 3,
        Failure::Unbalanced(_) => 4,
        Failure::Differs(_) => 5,
        Failure::Documents(_) | Failure::File(_) | Failure::Failed(_) | Failure::Said => 1,
    })
}
