//! The source `csv-replay`: the rows of a trace as items, each at its time.
//!
//! A trace is a file from somewhere: a row that cannot be an item is a failed one with its bytes, and the replay goes on.
//! No row makes it wait for years.

use std::fs::File;
use std::io::BufReader;

use async_trait::async_trait;
use flyball_json::{ItemLimits, Json, Number, Object};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Duration, Instant, sleep_until};

use super::csv_records::{Record, Records};
use super::{BATCH_BYTES, SourceConfig, timestamp};
use crate::check::nearest;
use crate::source::share;
use crate::{Source, SourceError, SourceProgress, Taken, Unreadable};

/// Replays a trace: each row of a CSV file with a header is an item, given at the time that it says, counted from the
/// first row's and divided by the speed. Its cells are the item's fields. A cell is a number only where its text is the
/// one way to write that number (`374`, `-1.5`); `007`, `1.10`, `7e10` and numbers that lose digits stay texts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvReplay {
    /// The file.
    #[schemars(extend("x-decides-reach" = true))]
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
    /// The longest that is waited for one row, in seconds. A row whose time is further from the row before it is a failed
    /// item; when the row after it is near to it, the replay goes on from there.
    #[serde(default = "day")]
    #[schemars(range(min = 0.001, max = 31_536_000.0))]
    max_gap_s: f64,
    /// The longest row that is an item, in KiB.
    #[serde(default = "default_row")]
    #[schemars(range(min = 1, max = 65_536))]
    max_row_kb: usize,
}

fn one() -> f64 {
    1.0
}

fn day() -> f64 {
    86_400.0
}

fn default_row() -> usize {
    1_024
}

impl SourceConfig for CsvReplay {
    fn check(&self) -> Result<(), Problem> {
        if self.path.is_empty() {
            return Err(Problem::new("/path", "the path is empty").help("name a CSV file with a header"));
        }
        Ok(())
    }

    fn open(self, limits: &ItemLimits) -> Result<Box<dyn Source>, Problem> {
        let unopened = |error: &dyn std::fmt::Display| {
            Problem::new("/path", format!("{} cannot be opened: {error}", self.path))
        };
        // What is no regular file may hold up whoever opens it.
        let metadata = std::fs::metadata(&self.path).map_err(|error| unopened(&error))?;
        if !metadata.is_file() {
            return Err(Problem::new("/path", format!("{} is not a regular file", self.path)));
        }
        let file = File::open(&self.path).map_err(|error| unopened(&error))?;
        let mut rows =
            Records::new(BufReader::with_capacity(64 * 1024, file), self.max_row_kb.saturating_mul(1024));
        let first = rows.next().map_err(|error| unopened(&error))?;
        let header = header(&self.path, first)?;
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
            clock: Clock { speed: self.speed, max_gap: self.max_gap_s, base: None, last: None, astray: None },
            until: self.until_s,
            limit: self.limit,
            limits: *limits,
            size: metadata.len(),
            waiting: None,
            items: 0,
            trace_time: 0.0,
            ended: false,
        }))
    }
}

/// The names of the columns. One that is there twice would lose a cell of every row.
fn header(path: &str, first: Option<Record>) -> Result<Vec<String>, Problem> {
    let fault = |why: String| {
        Problem::new("/path", format!("{path}: {why}")).help("the first line names the columns, each once")
    };
    let record = first.ok_or_else(|| fault("the file is empty".to_owned()))?;
    let cells = record.cells.map_err(|torn| fault(format!("the header cannot be read: {torn}")))?;
    let names = cells.iter().enumerate().map(|(index, name)| {
        let name = if index == 0 { name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name) } else { name };
        String::from_utf8(name.to_vec())
    });
    let names: Vec<String> = names
        .collect::<Result<_, _>>()
        .map_err(|error| fault(format!("the header is not UTF-8: {error}")))?;
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some((*one).clone()),
        _ => None,
    });
    match twice {
        Some(name) => Err(fault(format!("the column \"{name}\" is there twice"))),
        None => Ok(names),
    }
}

/// When rows are due.
struct Clock {
    speed: f64,
    /// The longest wait for one row, in seconds.
    max_gap: f64,
    base: Option<Base>,
    /// The trace's time at the newest row that was given.
    last: Option<f64>,
    /// The time of a row that was passed over as too far away.
    astray: Option<f64>,
}

/// A moment from which times are counted: the trace's time then, and how old the trace was.
#[derive(Clone, Copy)]
struct Base {
    at: Instant,
    time: f64,
    age: f64,
}

impl Clock {
    /// When a row is due, and how many seconds the trace is old then; none: it is too far away.
    fn due(&mut self, time: f64) -> Option<(Instant, f64)> {
        let (speed, max_gap) = (self.speed, self.max_gap);
        let far = |from: f64| (time - from).abs() / speed > max_gap;
        if let Some(last) = self.last.filter(|last| far(*last)) {
            if self.astray.is_none_or(far) {
                self.astray = Some(time);
                return None;
            }
            // Two rows agree: the trace goes on elsewhere.
            let age = self.base.map_or(0.0, |base| base.age + last - base.time);
            self.base = Some(Base { at: Instant::now(), time, age });
        }
        let base = *self.base.get_or_insert_with(|| Base { at: Instant::now(), time, age: 0.0 });
        let since = time - base.time;
        // A row that is earlier than the first is due at once.
        let offset = Duration::try_from_secs_f64((since / speed).max(0.0)).ok()?;
        let due = base.at.checked_add(offset)?;
        (self.last, self.astray) = (Some(time), None);
        Some((due, base.age + since))
    }
}

struct Replay {
    name: String,
    /// Read where it is used, without a thread of its own: a regular file's next few KiB take microseconds.
    rows: Records<BufReader<File>>,
    header: Vec<String>,
    column: usize,
    clock: Clock,
    until: Option<f64>,
    limit: Option<u64>,
    limits: ItemLimits,
    size: u64,
    /// The row whose time has not come.
    waiting: Option<Row>,
    items: u64,
    trace_time: f64,
    ended: bool,
}

/// A row, when it is due, and how old the trace is then.
struct Row {
    due: Instant,
    age: f64,
    bytes: usize,
    item: Taken,
}

impl Replay {
    /// The next row; none: there are no more.
    fn read(&mut self) -> Result<Option<Row>, SourceError> {
        if self.limit.is_some_and(|limit| self.items >= limit) {
            return Ok(None);
        }
        let read = self.rows.next();
        let read = read.map_err(|error| SourceError(format!("{} cannot be read: {error}", self.name)))?;
        let Some(record) = read else { return Ok(None) };
        let bytes = record.raw.len();
        match self.row(&record) {
            Ok((_, age, _)) if self.until.is_some_and(|until| age > until) => Ok(None),
            Ok((due, age, body)) => Ok(Some(Row { due, age, bytes, item: Ok(body) })),
            Err(why) => {
                let error = format!("{}:{}: {why}", self.name, record.line);
                let item = Err(Unreadable { bytes: record.raw, length: record.length, error });
                Ok(Some(Row { due: Instant::now(), age: self.trace_time, bytes, item }))
            }
        }
    }

    /// What a record says, or what is wrong with it.
    fn row(&mut self, record: &Record) -> Result<(Instant, f64, Json), String> {
        let cells = record.cells.as_ref().map_err(ToString::to_string)?;
        if cells.len() != self.header.len() {
            return Err(format!("the row has {} cells, the header {}", cells.len(), self.header.len()));
        }
        let texts: Vec<&str> = cells
            .iter()
            .map(std::str::from_utf8)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("the row is not UTF-8: {error}"))?;
        let written = texts.get(self.column).copied().unwrap_or_default();
        let time = timestamp::seconds(written).map_err(|error| error.to_string())?;
        let named = self.header.iter().map(String::as_str).zip(texts);
        let body = Json::Object(named.map(|(name, text)| (name, cell(text))).collect::<Object>());
        self.limits.check(&body).map_err(|limit| format!("the row is too large for an item: {limit}"))?;
        let (due, age) = self.clock.due(time).ok_or_else(|| {
            let gap = self.clock.max_gap;
            format!("\"{written}\" is more than {gap} s from the row before; raise max_gap_s if it is right")
        })?;
        Ok((due, age, body))
    }
}

/// A number only if that is the one way to write it: `007`, `1.10`, long identifiers and the `7e10` of a commit's name
/// stay texts, as nobody can tell from the cell that it was meant as a number.
fn cell(text: &str) -> Json {
    let written_so = |number: &serde_json::Number| number.to_string() == text && !text.contains(['e', 'E']);
    match serde_json::from_str::<serde_json::Number>(text).ok().filter(written_so) {
        Some(number) => Json::Number(Number::from(&number)),
        None => text.into(),
    }
}

#[async_trait]
impl Source for Replay {
    async fn next(&mut self, max: usize) -> Result<Option<Vec<Taken>>, SourceError> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while !self.ended && taken.len() < max.max(1) && bytes < BATCH_BYTES {
            if self.waiting.is_none() {
                self.waiting = self.read()?;
            }
            let Some(row) = self.waiting.take() else {
                self.ended = true;
                break;
            };
            if row.due > Instant::now() {
                let due = row.due;
                self.waiting = Some(row);
                if !taken.is_empty() {
                    break;
                }
                sleep_until(due).await;
                continue;
            }
            self.items += 1;
            self.trace_time = self.trace_time.max(row.age);
            bytes += row.bytes;
            taken.push(row.item);
        }
        Ok((!taken.is_empty()).then_some(taken))
    }

    fn stop(&mut self) {
        self.ended = true;
        self.waiting = None;
    }

    fn progress(&self) -> SourceProgress {
        let by_limit = self.limit.map(|limit| share(self.items as f64, limit as f64));
        let by_time = self.until.map(|until| share(self.trace_time, until));
        let by_size = share(self.rows.bytes() as f64, self.size as f64);
        let fraction = [by_limit, by_time, Some(by_size)].into_iter().flatten().fold(0.0, f64::max);
        let fraction = if self.ended { 1.0 } else { fraction };
        SourceProgress { items: self.items, total: self.limit, fraction: Some(fraction) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_a_number_only_if_that_is_the_one_way_to_write_it() {
        for (text, number) in
            [("374", json!(374)), ("-1.5", json!(-1.5)), ("0.1", json!(0.1)), ("1.0", json!(1.0))]
        {
            assert_eq!(cell(text), number, "{text}");
            assert_eq!(cell(text).to_string(), text);
        }
        for text in [
            "007",
            "",
            "NaN",
            "inf",
            "1,5",
            "123456789012345678901234567890",
            "0x10",
            "7e10",
            "1E5",
            "1e400",
            "1.10",
            "12.50",
            "-0",
            "0e0",
            "+49",
            "3.14159265358979323846",
            " 1",
            "18446744073709551616",
            "1_000",
        ] {
            assert_eq!(cell(text), json!(text));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_far_away_is_passed_over_once_and_followed_when_the_next_row_agrees() {
        let mut clock = Clock { speed: 1.0, max_gap: 100.0, base: None, last: None, astray: None };
        let start = Instant::now();
        let after = |seconds| Some(start + Duration::from_secs(seconds));
        assert_eq!(clock.due(10.0).map(|(due, _)| due), after(0));
        assert_eq!(clock.due(1e12), None);
        assert_eq!(clock.due(12.0).map(|(due, _)| due), after(2));
        assert_eq!(clock.due(-1e12), None);
        assert_eq!(clock.due(5_000.0), None);
        assert_eq!(clock.due(5_001.0), Some((start, 2.0)));
        assert_eq!(clock.due(5_004.0).map(|(due, _)| due), after(3));
    }
}
