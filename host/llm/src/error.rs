use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {cause}; {help}")]
pub struct LlmError {
    /// Of which kind it is.
    pub kind: Kind,
    /// Who was asked: provider, model and origin.
    pub place: String,
    /// The cause.
    pub cause: String,
    /// The next step.
    pub help: String,
    /// When asking again may help, if anybody knows.
    pub again_after: Option<Duration>,
    /// The provider's name for the last try, for whoever asks the provider about it.
    pub request_id: Option<String>,
    /// How often it was asked.
    pub tries: u32,
}

/// Of which kind an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The question is not one that may be asked. Nothing was sent.
    Question,
    /// What may be spent in an hour is spent. Nothing was sent.
    Budget,
    /// The provider failed too often and is left alone. Nothing more was sent.
    Open,
    /// There are too many questions, and the turn of this one does not come in time. Nothing more was sent.
    Busy,
    /// A content filter, or the model itself, would not answer.
    Refused,
    /// The answer is longer than was asked for, and cut.
    Truncated,
    /// The answer is not what was asked for, or not of the provider's form.
    Malformed,
    /// The provider does not take the question.
    Rejected,
    /// The provider does not take the key.
    Unauthorized,
    /// The provider does not know the model, or the address is wrong.
    NotFound,
    /// The provider sends elsewhere, which is not followed.
    Redirected,
    /// The provider allows no more questions for now.
    RateLimited,
    /// The provider has too much to do.
    Overloaded,
    /// The provider failed.
    Server,
    /// No whole answer came in time.
    TimedOut,
    /// No connection was made.
    Unreachable,
    /// The connection broke before the answer was whole.
    CutOff,
    /// Question or answer is larger than it may be.
    TooLarge,
}

impl Kind {
    /// Whether the same question may be sent again at once.
    pub(crate) const fn may_pass(self) -> bool {
        matches!(self, Self::RateLimited | Self::Overloaded | Self::Server | Self::Unreachable | Self::CutOff)
    }

    /// Whether it is the provider that fails, and not this one question. One that counts its callers does not fail.
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::Overloaded | Self::Server | Self::Unreachable | Self::CutOff)
    }

    /// The next step.
    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Question => "ask another question, or raise the grant's limits",
            Self::Budget => "wait, or raise `budgets`",
            Self::Open => "wait, or see what is wrong with the provider",
            Self::Busy => "ask less often, or raise `limits.at_once` and `limits.per_minute`",
            Self::Refused => "ask in another way",
            Self::Truncated => "ask for more output tokens, or for less",
            Self::Malformed => "ask again, by another `answer_by`, or another model",
            Self::Rejected => "see whether the model takes such questions, or another `answer_by`",
            Self::Unauthorized => "see whether `key` is the provider's, and good for this model",
            Self::NotFound => "see whether `model` and `base_url` are right",
            Self::Redirected => "put the address that is meant into `base_url`",
            Self::RateLimited => "ask less often",
            Self::Overloaded | Self::Server => "ask again later",
            Self::TimedOut => "give it more time, or ask for less",
            Self::Unreachable => "see whether `base_url` is right and the server runs",
            Self::CutOff => "ask again",
            Self::TooLarge => "ask for less, or raise `limits.max_kb`",
        }
    }
}

/// What went wrong, before it is said of whom and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) cause: String,
    pub(crate) after: Option<Duration>,
}

impl Fault {
    pub(crate) fn new(kind: Kind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), after: None }
    }

    pub(crate) fn after(mut self, after: Option<Duration>) -> Self {
        self.after = after;
        self
    }
}
