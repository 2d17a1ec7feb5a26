use std::sync::Arc;

/// A document as it was given: its text, and the name by which messages call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentText {
    /// The file's name.
    pub name: String,
    /// What the file holds.
    pub text: Arc<str>,
}

impl DocumentText {
    /// Of that name, with that text.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}
