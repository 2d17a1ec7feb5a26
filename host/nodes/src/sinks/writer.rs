use std::io;

use async_trait::async_trait;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::SinkConfig;
use crate::{Item, ProcessError, Sink};

/// Appends each item to a file as a line of JSON. A batch is written and flushed before it is answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToFile {
    /// The file; it is made if there is none.
    path: String,
}

impl SinkConfig for ToFile {
    fn check(&self) -> Result<(), Problem> {
        if self.path.is_empty() {
            return Err(Problem::new("/path", "the path is empty").help("name a file"));
        }
        Ok(())
    }

    fn open(self) -> Result<Box<dyn Sink>, Problem> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        let file =
            file.map_err(|error| Problem::new("/path", format!("{} cannot be written: {error}", self.path)))?;
        Ok(Box::new(LineWriter {
            name: self.path,
            output: File::from_std(file),
            torn: false,
            lines: Vec::new(),
        }))
    }
}

/// Writes each item to standard output as a line of JSON.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToStdout {}

impl SinkConfig for ToStdout {
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }

    fn open(self) -> Result<Box<dyn Sink>, Problem> {
        let name = "standard output".to_owned();
        Ok(Box::new(LineWriter { name, output: tokio::io::stdout(), torn: false, lines: Vec::new() }))
    }
}

struct LineWriter<W> {
    name: String,
    output: W,
    /// The last write broke off, perhaps within a line: the next begins with a line end, so that no good line is glued
    /// to half of another.
    torn: bool,
    lines: Vec<u8>,
}

impl<W: AsyncWrite + Unpin + Send> LineWriter<W> {
    async fn write(&mut self, items: &[Item]) -> io::Result<()> {
        self.lines.clear();
        if self.torn {
            self.lines.push(b'\n');
        }
        for item in items {
            serde_json::to_writer(&mut self.lines, &item.body)?;
            self.lines.push(b'\n');
        }
        self.torn = true;
        self.output.write_all(&self.lines).await?;
        self.output.flush().await?;
        self.torn = false;
        Ok(())
    }
}

#[async_trait]
impl<W: AsyncWrite + Unpin + Send> Sink for LineWriter<W> {
    async fn deliver(&mut self, items: &[Item]) -> Vec<Result<(), ProcessError>> {
        let answer = self
            .write(items)
            .await
            .map_err(|error| ProcessError::Item(format!("{} cannot be written: {error}", self.name)));
        items.iter().map(|_| answer.clone()).collect()
    }

    async fn finish(&mut self) -> Result<(), ProcessError> {
        self.output
            .flush()
            .await
            .map_err(|error| ProcessError::Item(format!("{} cannot be written: {error}", self.name)))
    }
}
