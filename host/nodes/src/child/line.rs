//! Lines of a bounded length: the only way in which anything of a child, or of the host, is read.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What was read into a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Whole,
    /// The beginning of one that is longer than the limit; the rest of it comes next.
    Long,
    /// Nothing: there will be no more.
    End,
}

/// Reads a line of at most `limit` bytes. A last line without an end is one too.
pub(super) async fn read_line<R>(input: &mut R, line: &mut Vec<u8>, limit: usize) -> io::Result<Line>
where
    R: AsyncBufRead + Unpin,
{
    line.clear();
    loop {
        let buffered = input.fill_buf().await?;
        if buffered.is_empty() {
            return Ok(if line.is_empty() { Line::End } else { Line::Whole });
        }
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let part = buffered.get(..end.unwrap_or(buffered.len())).unwrap_or_default();
        let room = limit.saturating_sub(line.len());
        if let Some(kept) = part.get(..room).filter(|_| part.len() > room) {
            line.extend_from_slice(kept);
            input.consume(room);
            return Ok(Line::Long);
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Line::Whole);
        }
    }
}

/// Reads on to the end of the line, without keeping it. False: it did not end within `limit` bytes.
pub(super) async fn skip_line<R>(input: &mut R, limit: usize) -> io::Result<bool>
where
    R: AsyncBufRead + Unpin,
{
    let mut skipped = 0_usize;
    while skipped <= limit {
        let buffered = input.fill_buf().await?;
        if buffered.is_empty() {
            return Ok(true);
        }
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffered.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
        skipped = skipped.saturating_add(used);
    }
    Ok(false)
}
