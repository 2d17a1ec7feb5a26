use std::fs::File;

use async_trait::async_trait;
use csv::{Position, Reader, StringRecord};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use tokio::time::{Duration, Instant, sleep_until};

use super::{SourceConfig, timestamp};
use crate::check::nearest;
use crate::source::share;
use crate::{Progress, Source, SourceError, Taken, Unreadable};

/// Replays a trace: each row of a CSV file with a header is an item, given at the time that it says, counted from the
/// first row's and divided by the speed. Its cells are the item's fields; a cell that JSON would write as a number is one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvReplay {
    /// The file.
    path: String,
    /// The column that says when: RFC 3339, the same without a zone, or plain seconds.
    timestamp_column: String,
    /// How much faster than the trace.
    #[serde(default = "one")]
    #[schemars(range(min = 0.000_001, max = 1_000_000_000.0))]
    speed: f64,
    /// Ends when the trace is this many of its own seconds old.
    #[schemars(range(min = 0.0))]
    until_s: Option<f64>,
    /// Ends after so many rows.
    limit: Option<u64>,
}

fn one() -> f64 {
    1.0
}

impl SourceConfig for CsvReplay {
    fn check(&self) -> Result<(), Problem> {
        if self.path.is_empty() {
            return Err(Problem::new("/path", "the path is empty").help("name a CSV file with a header"));
        }
        Ok(())
    }

    fn open(self) -> Result<Box<dyn Source>, Problem> {
        let unopened = |error: &dyn std::fmt::Display| {
            Problem::new("/path", format!("{} cannot be opened: {error}", self.path))
        };
        let file = File::open(&self.path).map_err(|error| unopened(&error))?;
        let metadata = file.metadata().map_err(|error| unopened(&error))?;
        if !metadata.is_file() {
            return Err(Problem::new("/path", format!("{} is not a regular file", self.path)));
        }
        let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(file);
        let header: Vec<String> =
            rows.headers().map_err(|error| unopened(&error))?.iter().map(str::to_owned).collect();
        let Some(column) = header.iter().position(|name| *name == self.timestamp_column) else {
            let problem = Problem::new(
                "/timestamp_column",
                format!("{} has no column \"{}\"", self.path, self.timestamp_column),
            );
            return Err(match nearest(&self.timestamp_column, header.iter().map(String::as_str)) {
                Some(near) => problem.help(format!("did you mean \"{near}\"?")),
                None => problem.help(format!("it has {}", header.join(", "))),
            });
        };
        Ok(Box::new(Replay {
            name: self.path,
            rows,
            header,
            column,
            speed: self.speed,
            until: self.until_s,
            limit: self.limit,
            size: metadata.len(),
            start: None,
            waiting: None,
            items: 0,
            trace_time: 0.0,
            ended: false,
        }))
    }
}

struct Replay {
    name: String,
    /// Read where it is used, without a thread of its own: a regular file's next few KiB take microseconds.
    rows: Reader<File>,
    header: Vec<String>,
    column: usize,
    speed: f64,
    until: Option<f64>,
    limit: Option<u64>,
    size: u64,
    /// When the replay began, and the trace's time then.
    start: Option<(Instant, f64)>,
    /// The row whose time has not come.
    waiting: Option<(Instant, f64, Taken)>,
    items: u64,
    trace_time: f64,
    ended: bool,
}

impl Replay {
    /// The next row, when it is due, and its time in the trace. None: there are no more.
    fn read(&mut self) -> Result<Option<(Instant, f64, Taken)>, SourceError> {
        if self.limit.is_some_and(|limit| self.items >= limit) {
            return Ok(None);
        }
        let mut row = StringRecord::new();
        match self.rows.read_record(&mut row) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) if error.is_io_error() => {
                return Err(SourceError(format!("{} cannot be read: {error}", self.name)));
            }
            Err(error) => return Ok(Some(self.at_once(b"", format!("{}: {error}", self.name)))),
        }
        let line = row.position().map_or(0, Position::line);
        let place = format!("{}:{line}", self.name);
        let text = || row.iter().collect::<Vec<_>>().join(",");
        if row.len() != self.header.len() {
            let (cells, columns) = (row.len(), self.header.len());
            let error = format!("{place}: the row has {cells} cells, the header {columns}");
            return Ok(Some(self.at_once(text().as_bytes(), error)));
        }
        let written = row.get(self.column).unwrap_or_default();
        let Some(moment) = timestamp::seconds(written) else {
            let error = format!("{place}: \"{written}\" is no time");
            return Ok(Some(self.at_once(text().as_bytes(), error)));
        };
        let (start, zero) = *self.start.get_or_insert_with(|| (Instant::now(), moment));
        let since = moment - zero;
        if self.until.is_some_and(|until| since > until) {
            return Ok(None);
        }
        // A row that is earlier than the first is due at once.
        let offset = Duration::try_from_secs_f64((since / self.speed).max(0.0))
            .ok()
            .and_then(|offset| start.checked_add(offset))
            .ok_or_else(|| SourceError(format!("{place}: \"{written}\" is too far from the first row")))?;
        Ok(Some((offset, since, Ok(self.body(&row)))))
    }

    fn at_once(&self, text: &[u8], error: String) -> (Instant, f64, Taken) {
        (Instant::now(), self.trace_time, Err(Unreadable::new(text, error)))
    }

    fn body(&self, row: &StringRecord) -> Value {
        let cells = self.header.iter().zip(row.iter());
        Value::Object(cells.map(|(name, text)| (name.clone(), cell(text))).collect::<Map<_, _>>())
    }
}

/// A number if JSON would write it so and none of its digits is lost: `007` and long identifiers stay texts.
fn cell(text: &str) -> Value {
    match serde_json::from_str::<Number>(text) {
        Ok(number) if !number.is_f64() || text.contains(['.', 'e', 'E']) => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}

#[async_trait]
impl Source for Replay {
    async fn next(&mut self, max: usize) -> Result<Option<Vec<Taken>>, SourceError> {
        let mut taken = Vec::new();
        while !self.ended && taken.len() < max.max(1) {
            if self.waiting.is_none() {
                self.waiting = self.read()?;
            }
            let Some((due, since, item)) = self.waiting.take() else {
                self.ended = true;
                break;
            };
            if due > Instant::now() {
                self.waiting = Some((due, since, item));
                if !taken.is_empty() {
                    break;
                }
                sleep_until(due).await;
                continue;
            }
            self.items += 1;
            self.trace_time = self.trace_time.max(since);
            taken.push(item);
        }
        Ok((!taken.is_empty()).then_some(taken))
    }

    fn stop(&mut self) {
        self.ended = true;
        self.waiting = None;
    }

    fn progress(&self) -> Progress {
        let by_limit = self.limit.map(|limit| share(self.items as f64, limit as f64));
        let by_time = self.until.map(|until| share(self.trace_time, until));
        let by_size = share(self.rows.position().byte() as f64, self.size as f64);
        let fraction = [by_limit, by_time, Some(by_size)].into_iter().flatten().fold(0.0, f64::max);
        let fraction = if self.ended { 1.0 } else { fraction };
        Progress { items: self.items, total: self.limit, fraction: Some(fraction) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::cell;

    #[test]
    fn a_cell_is_a_number_only_if_none_of_it_is_lost() {
        assert_eq!(cell("374"), json!(374));
        assert_eq!(cell("-1.5e3"), json!(-1500.0));
        for text in ["007", "", "NaN", "1,5", "123456789012345678901234567890", "0x10"] {
            assert_eq!(cell(text), json!(text));
        }
    }
}
