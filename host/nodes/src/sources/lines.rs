//! The source `lines`: what is read line by line from a file, a pipe or standard input.
//!
//! A line is bounded while it is read, and one that cannot be an item is a failed item with its bytes. A file that was
//! truncated under its writer has a hole of NUL bytes where its old lines were; they are no part of the next line.

use std::io;
use std::path::Path;

use async_trait::async_trait;
use flyball_json::{ItemLimits, Json};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::input::Input;
use super::{BATCH_BYTES, SourceConfig};
use crate::source::share;
use crate::{Source, SourceError, SourceProgress, Taken, Unreadable};

/// One item for each line of a file, a text without its line end. A mark of the byte order at the beginning of a file is
/// left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lines {
    /// The file; `-` is standard input.
    #[schemars(extend("x-decides-reach" = true))]
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

    fn open(self, limits: &ItemLimits) -> Result<Box<dyn Source>, Problem> {
        let bounds = Bounds { line: self.max_line_kb.saturating_mul(1024), item: *limits };
        let unopened =
            |error: io::Error| Problem::new("/path", format!("{} cannot be opened: {error}", self.path));
        if self.path == "-" {
            let input = Input::standard().map_err(unopened)?;
            return Ok(Box::new(LineReader::new("standard input", input, None, bounds)));
        }
        let (input, size) = Input::open(Path::new(&self.path)).map_err(unopened)?;
        Ok(Box::new(LineReader::new(&self.path, input, size, bounds)))
    }
}

/// A hole is as long as the file was that was truncated. So few NUL bytes are rather those of a text that is not UTF-8.
const SMALLEST_HOLE: u64 = 16;

/// What a line may be, as it stands in the file and as an item.
#[derive(Clone, Copy)]
struct Bounds {
    line: usize,
    item: ItemLimits,
}

struct LineReader<R> {
    name: String,
    input: BufReader<R>,
    bounds: Bounds,
    size: Option<u64>,
    /// The line that is being read, as far as it is kept.
    line: Vec<u8>,
    /// Bytes of it that were not kept.
    beyond: u64,
    /// NUL bytes before it that are a hole of the file.
    hole: u64,
    /// It begins with the mark of UTF-16: each line of it is half a character off, and none is an item.
    utf16: bool,
    number: u64,
    items: u64,
    bytes: u64,
    ended: bool,
}

impl<R: tokio::io::AsyncRead + Unpin + Send> LineReader<R> {
    fn new(name: &str, input: R, size: Option<u64>, bounds: Bounds) -> Self {
        Self {
            name: name.to_owned(),
            input: BufReader::with_capacity(64 * 1024, input),
            bounds,
            size,
            line: Vec::new(),
            beyond: 0,
            hole: 0,
            utf16: false,
            number: 0,
            items: 0,
            bytes: 0,
            ended: false,
        }
    }

    /// Takes in what is buffered, at most up to the end of a line: whether a line is whole.
    fn take(&mut self) -> bool {
        self.pass_over_hole();
        let buffered = self.input.buffer();
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let part = buffered.get(..end.unwrap_or(buffered.len())).unwrap_or_default();
        let room = (self.bounds.line + 1).saturating_sub(self.line.len());
        let kept = part.get(..room).unwrap_or(part);
        self.line.extend_from_slice(kept);
        self.beyond += (part.len() - kept.len()) as u64;
        let used = part.len() + usize::from(end.is_some());
        self.bytes += used as u64;
        self.input.consume(used);
        end.is_some()
    }

    /// Only a regular file has holes: they read as NUL bytes, and nobody wrote them. A few are no hole but a part of the line.
    fn pass_over_hole(&mut self) {
        if self.size.is_none() || !self.line.is_empty() || self.beyond > 0 {
            return;
        }
        let hole = self.input.buffer().iter().take_while(|byte| **byte == 0).count();
        self.input.consume(hole);
        self.hole += hole as u64;
        self.bytes += hole as u64;
        if !self.input.buffer().is_empty() {
            self.keep_what_is_no_hole();
        }
    }

    fn keep_what_is_no_hole(&mut self) {
        if self.hole < SMALLEST_HOLE {
            self.line.resize(usize::try_from(self.hole).unwrap_or_default(), 0);
            self.hole = 0;
        }
    }

    /// What the input ends with, if it is no whole line.
    fn finish(&mut self) -> Option<Taken> {
        self.ended = true;
        // The last line end of UTF-16 is two bytes, and a NUL behind it no line.
        if self.line.is_empty() && !self.utf16 {
            self.keep_what_is_no_hole();
        }
        if !self.line.is_empty() {
            return Some(self.finish_line());
        }
        if self.hole >= SMALLEST_HOLE {
            let (name, hole) = (&self.name, self.hole);
            tracing::warn!(
                "{name}: {hole} NUL bytes at the end were left out, as a file has them that was truncated"
            );
        }
        None
    }

    /// The line that was read.
    fn finish_line(&mut self) -> Taken {
        self.number += 1;
        self.items += 1;
        let mut line = std::mem::take(&mut self.line);
        self.utf16 |= self.number == 1 && (line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff"));
        let length = line.len() as u64 + std::mem::take(&mut self.beyond);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let place = format!("{}:{}", self.name, self.number);
        let hole = std::mem::take(&mut self.hole);
        if hole > 0 {
            tracing::warn!(
                "{place}: {hole} NUL bytes before the line were left out, as a file has them that was truncated"
            );
        }
        if line.len() > self.bounds.line {
            let limit = self.bounds.line;
            let error = format!("{place}: the line has {length} bytes; at most {limit} are an item");
            return Err(Unreadable { bytes: line, length, error });
        }
        if self.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if self.utf16 {
            let why = format!(
                "{place}: the text is UTF-16, as it begins with its mark; make it UTF-8: iconv -f UTF-16 -t UTF-8"
            );
            return Err(Unreadable::whole(line, why));
        }
        let text = String::from_utf8(line).map_err(|error| {
            let why = format!("{place}: the line is not UTF-8: {}", error.utf8_error());
            Unreadable::whole(error.into_bytes(), why)
        })?;
        let item = Json::from(text);
        match (self.bounds.item.check(&item), item) {
            (Ok(_), item) => Ok(item),
            (Err(limit), item) => {
                let line = item.as_str().unwrap_or_default().as_bytes().to_vec();
                Err(Unreadable::whole(line, format!("{place}: the line is too large for an item: {limit}")))
            }
        }
    }
}

#[async_trait]
impl<R: tokio::io::AsyncRead + Unpin + Send> Source for LineReader<R> {
    async fn next(&mut self, max: usize) -> Result<Option<Vec<Taken>>, SourceError> {
        let mut taken = Vec::new();
        let begun = self.bytes;
        while !self.ended && taken.len() < max.max(1) {
            if !taken.is_empty() && self.bytes - begun > BATCH_BYTES as u64 {
                break;
            }
            if self.input.buffer().is_empty() {
                // What is there is given before more is waited for: waiting may be dropped, what was taken may not.
                if !taken.is_empty() {
                    break;
                }
                let more = self.input.fill_buf().await;
                let more =
                    more.map_err(|error| SourceError(format!("{} cannot be read: {error}", self.name)))?;
                if more.is_empty() {
                    taken.extend(self.finish());
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

    fn progress(&self) -> SourceProgress {
        let fraction =
            self.size.map(|size| if self.ended { 1.0 } else { share(self.bytes as f64, size as f64) });
        SourceProgress { items: self.items, total: None, fraction }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn bounds(line: usize) -> Bounds {
        Bounds { line, item: ItemLimits::default() }
    }

    fn read(bytes: &[u8], limit: usize, max: usize) -> Vec<Taken> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut source = LineReader::new("in", bytes, Some(bytes.len() as u64), bounds(limit));
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
        assert_eq!(taken[0], Ok(json!("one").into()));
        let long = taken[1].as_ref().unwrap_err();
        assert_eq!(long.error, "in:2: the line has 10 bytes; at most 8 are an item");
        assert_eq!((long.bytes.as_slice(), long.length), (b"123456789".as_slice(), 10));
        assert!(taken[2].as_ref().unwrap_err().error.starts_with("in:3: the line is not UTF-8"));
        assert_eq!(taken[3], Ok(json!("").into()));
        assert_eq!(taken[4], Ok(json!("last").into()));
    }

    #[test]
    fn the_hole_of_a_truncated_file_is_no_part_of_the_line_behind_it() {
        let mut text = b"before\n".to_vec();
        text.resize(text.len() + 200_000, 0);
        text.extend_from_slice(b"after\0it\n\0\0");
        let taken = read(&text, 16, 4);
        assert_eq!(taken, [Ok("before".into()), Ok("after\0it".into()), Ok("\0\0".into())]);
    }

    #[test]
    fn few_nul_bytes_are_a_part_of_the_line_wherever_it_stands() {
        let taken = read(b"\0\0one\n\0\0", 16, 4);
        assert_eq!(taken, [Ok("\0\0one".into()), Ok("\0\0".into())]);
    }

    #[test]
    fn each_line_of_a_text_in_utf16_is_a_failed_item_and_none_is_changed() {
        for mark in [b"\xff\xfe", b"\xfe\xff"] {
            let text = [mark.as_slice(), b"o\0n\0e\0\n\0t\0w\0o\0\n\0"].concat();
            let taken = read(&text, 64, 4);
            assert_eq!(taken.len(), 2);
            for line in taken {
                let failed = line.unwrap_err();
                assert!(failed.error.contains("the text is UTF-16"), "{}", failed.error);
            }
        }
        // A first line that is too long is no item for that alone; the lines behind it are still half a character off.
        let taken = read(b"\xff\xfel\0o\0n\0g\0\n\0t\0w\0o\0\n\0", 8, 4);
        assert!(taken.iter().all(Result::is_err), "{taken:?}");
        // Without a mark it is not known; no byte of it is left out.
        let taken = read(b"\0o\0n\0e\0\n\0t\0w\0o", 64, 4);
        assert_eq!(taken, [Ok("\0o\0n\0e\0".into()), Ok("\0t\0w\0o".into())]);
    }

    #[test]
    fn a_mark_of_the_byte_order_is_left_out_where_a_file_begins_and_nowhere_else() {
        let taken = read("\u{feff}one\n\u{feff}two".as_bytes(), 16, 4);
        assert_eq!(taken, [Ok("one".into()), Ok("\u{feff}two".into())]);
    }

    #[test]
    fn a_line_that_is_too_large_an_item_is_a_failed_one_with_all_its_bytes() {
        let item = ItemLimits { encoded: 100, ..ItemLimits::default() };
        let line = vec![1_u8; 50];
        let mut source = LineReader::new("in", line.as_slice(), None, Bounds { line: 1_000, item });
        let taken = futures::executor::block_on(source.next(1)).unwrap().unwrap();
        let failed = taken[0].as_ref().unwrap_err();
        assert_eq!(failed.bytes, line);
        assert!(
            failed.error.starts_with("in:1: the line is too large for an item: 302 bytes"),
            "{}",
            failed.error
        );
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let taken = read(&vec![b'x'; 300_000], 16, 4);
        assert_eq!(taken.len(), 1);
        assert!(taken[0].as_ref().unwrap_err().error.contains("300000 bytes"));
    }

    proptest! {
        #[test]
        fn every_line_is_an_item_in_its_order(lines in prop::collection::vec("[^\r\n\0\u{feff}]{0,30}", 0..20), max in 1usize..7) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let items: Vec<String> =
                read(text.as_bytes(), 4096, max).into_iter().map(|item| item.unwrap().as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(items, lines);
        }
    }
}
