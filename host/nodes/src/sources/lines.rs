use std::io;

use async_trait::async_trait;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::SourceConfig;
use crate::source::share;
use crate::{Progress, Source, SourceError, Taken, Unreadable};

/// One item for each line of a file, a text without its line end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lines {
    /// The file; `-` is standard input.
    path: String,
    /// The longest line that is an item, in KiB; a longer one is a failed item.
    #[serde(default = "default_line")]
    #[schemars(range(min = 1, max = 65_536))]
    max_line_kb: usize,
}

fn default_line() -> usize {
    1_024
}

impl SourceConfig for Lines {
    fn check(&self) -> Result<(), Problem> {
        if self.path.is_empty() {
            return Err(
                Problem::new("/path", "the path is empty").help("name a file, or - for standard input")
            );
        }
        Ok(())
    }

    fn open(self) -> Result<Box<dyn Source>, Problem> {
        let limit = self.max_line_kb.saturating_mul(1024);
        if self.path == "-" {
            return Ok(Box::new(LineReader::new("standard input", tokio::io::stdin(), None, limit)));
        }
        let unopened =
            |error: io::Error| Problem::new("/path", format!("{} cannot be opened: {error}", self.path));
        let file = std::fs::File::open(&self.path).map_err(unopened)?;
        let metadata = file.metadata().map_err(unopened)?;
        if metadata.is_dir() {
            return Err(Problem::new("/path", format!("{} is a directory, not a file", self.path)));
        }
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Box::new(LineReader::new(&self.path, tokio::fs::File::from_std(file), size, limit)))
    }
}

struct LineReader<R> {
    name: String,
    input: BufReader<R>,
    limit: usize,
    size: Option<u64>,
    /// The line that is being read, as far as it is kept.
    line: Vec<u8>,
    /// Bytes of it that were not kept.
    beyond: u64,
    number: u64,
    items: u64,
    bytes: u64,
    ended: bool,
}

impl<R: tokio::io::AsyncRead + Unpin + Send> LineReader<R> {
    fn new(name: &str, input: R, size: Option<u64>, limit: usize) -> Self {
        Self {
            name: name.to_owned(),
            input: BufReader::with_capacity(64 * 1024, input),
            limit,
            size,
            line: Vec::new(),
            beyond: 0,
            number: 0,
            items: 0,
            bytes: 0,
            ended: false,
        }
    }

    /// Takes in what is buffered, at most up to the end of a line: whether a line is whole.
    fn take(&mut self) -> bool {
        let buffered = self.input.buffer();
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let part = buffered.get(..end.unwrap_or(buffered.len())).unwrap_or_default();
        let room = (self.limit + 1).saturating_sub(self.line.len());
        let kept = part.get(..room).unwrap_or(part);
        self.line.extend_from_slice(kept);
        self.beyond += (part.len() - kept.len()) as u64;
        let used = part.len() + usize::from(end.is_some());
        self.bytes += used as u64;
        self.input.consume(used);
        end.is_some()
    }

    /// The line that was read.
    fn finish_line(&mut self) -> Taken {
        self.number += 1;
        self.items += 1;
        let mut line = std::mem::take(&mut self.line);
        let length = line.len() as u64 + std::mem::take(&mut self.beyond);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let place = format!("{}:{}", self.name, self.number);
        if line.len() > self.limit {
            let limit = self.limit;
            let error = format!("{place}: the line has {length} bytes; at most {limit} are an item");
            return Err(Unreadable::new(&line, error));
        }
        match String::from_utf8(line) {
            Ok(text) => Ok(Value::String(text)),
            Err(error) => {
                let why = format!("{place}: the line is not UTF-8: {}", error.utf8_error());
                Err(Unreadable::new(error.as_bytes(), why))
            }
        }
    }
}

#[async_trait]
impl<R: tokio::io::AsyncRead + Unpin + Send> Source for LineReader<R> {
    async fn next(&mut self, max: usize) -> Result<Option<Vec<Taken>>, SourceError> {
        let mut taken = Vec::new();
        while !self.ended && taken.len() < max.max(1) {
            if self.input.buffer().is_empty() {
                // What is there is given before more is waited for: waiting may be dropped, what was taken may not.
                if !taken.is_empty() {
                    break;
                }
                let more = self.input.fill_buf().await;
                let more =
                    more.map_err(|error| SourceError(format!("{} cannot be read: {error}", self.name)))?;
                if more.is_empty() {
                    self.ended = true;
                    if !self.line.is_empty() {
                        taken.push(self.finish_line());
                    }
                    break;
                }
            }
            if self.take() {
                let line = self.finish_line();
                taken.push(line);
            }
        }
        Ok((!taken.is_empty()).then_some(taken))
    }

    fn stop(&mut self) {
        self.ended = true;
    }

    fn progress(&self) -> Progress {
        let fraction =
            self.size.map(|size| if self.ended { 1.0 } else { share(self.bytes as f64, size as f64) });
        Progress { items: self.items, total: None, fraction }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8], limit: usize, max: usize) -> Vec<Taken> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut source = LineReader::new("in", bytes, Some(bytes.len() as u64), limit);
            let mut all = Vec::new();
            while let Some(some) = source.next(max).await.unwrap() {
                assert!(!some.is_empty() && some.len() <= max);
                all.extend(some);
            }
            assert_eq!(source.progress().items, all.len() as u64);
            assert_eq!(source.progress().fraction, Some(1.0));
            all
        })
    }

    #[test]
    fn an_over_long_line_and_one_that_is_not_utf8_are_failed_items_among_good_ones() {
        let taken = read(b"one\r\n1234567890\n\xff\xfe\n\nlast", 8, 2);
        assert_eq!(taken.len(), 5);
        assert_eq!(taken[0], Ok(json!("one")));
        let long = taken[1].as_ref().unwrap_err();
        assert_eq!(long.error, "in:2: the line has 10 bytes; at most 8 are an item");
        assert_eq!(long.text, "123456789");
        assert!(taken[2].as_ref().unwrap_err().error.starts_with("in:3: the line is not UTF-8"));
        assert_eq!(taken[3], Ok(json!("")));
        assert_eq!(taken[4], Ok(json!("last")));
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let taken = read(&vec![b'x'; 300_000], 16, 4);
        assert_eq!(taken.len(), 1);
        assert!(taken[0].as_ref().unwrap_err().error.contains("300000 bytes"));
    }

    proptest! {
        #[test]
        fn every_line_is_an_item_in_its_order(lines in prop::collection::vec("[^\r\n]{0,30}", 0..20), max in 1usize..7) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let items: Vec<String> =
                read(text.as_bytes(), 4096, max).into_iter().map(|item| item.unwrap().as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(items, lines);
        }
    }
}
