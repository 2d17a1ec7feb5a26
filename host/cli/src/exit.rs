use std::io::IsTerminal;
use std::process::ExitCode;

/// Why a command ends without having done what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A document is wrong; its faults are shown with their places.
    #[error(transparent)]
    Documents(#[from] flyball_documents::Faults),
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

impl Failure {
    /// Says why, on standard error.
    pub(crate) fn tell(&self) {
        match self {
            Self::Documents(faults) => tell_faults(faults),
            Self::Said => {}
            other => eprintln!("flyball: {other}"),
        }
    }
}

/// With the lines around each fault on a terminal; one line for each where a program reads it.
fn tell_faults(faults: &flyball_documents::Faults) {
    if std::io::stderr().is_terminal() {
        for fault in faults.iter() {
            eprint!("{:?}", miette::Report::new(fault.clone()));
        }
    } else {
        eprintln!("{faults}");
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
        Failure::Documents(_) | Failure::Failed(_) | Failure::Said => 1,
    })
}
