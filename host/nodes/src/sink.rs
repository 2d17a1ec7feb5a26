use async_trait::async_trait;

use crate::{Item, ProcessError};

/// Where a pipeline's items go. Trying again is the pipeline's affair.
#[async_trait]
pub trait Sink: Send {
    /// One answer for each item, in their order. What is answered with `Ok` is out of the host's hands: written, or taken
    /// by the other side. What is answered with `Unavailable` is not, and is asked for again.
    async fn deliver(&mut self, items: &[Item]) -> Vec<Result<(), ProcessError>>;

    /// At the end.
    async fn finish(&mut self) -> Result<(), ProcessError> {
        Ok(())
    }
}
