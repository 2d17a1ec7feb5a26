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
}

/// Says why, on standard error, and gives the exit code that the help documents.
pub(crate) fn code_of(done: Result<(), Failure>) -> ExitCode {
    let Err(failure) = done else { return ExitCode::SUCCESS };
    let code = match &failure {
        Failure::NoHost(_) => 3,
        Failure::Unbalanced(_) => 4,
        Failure::Documents(_) | Failure::Failed(_) | Failure::Said => 1,
    };
    match failure {
        Failure::Documents(faults) => eprintln!("{:?}", miette::Report::new(faults)),
        Failure::Said => {}
        other => eprintln!("flyball: {other}"),
    }
    ExitCode::from(code)
}
