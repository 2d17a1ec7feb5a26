//! Reading what a child writes. All of it is a stranger's: every line is bounded, nothing of it is believed unread, and a
//! line that is wrong fails the item that it answers, not the child. [`super::worker`] decides when wrong lines are too many.

use flyball_json::{ItemLimits, JsonError};
use flyball_model::printable;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncRead, BufReader};
use tokio::sync::mpsc::Sender;

use super::error::{cause, tamed};
use super::glimpse::glimpse;
use super::line::{Line, read_line, skip_line};
use super::{ChildError, Vitals};
use crate::{ProcessError, Processed};

/// What was heard of a child about its items.
#[derive(Debug)]
pub(super) enum Heard {
    /// An answer to one item.
    Answer {
        /// Which.
        id: u64,
        /// What becomes of it.
        said: Processed,
    },
    /// A line that is of no use: about this item, or nobody knows about which.
    Fault {
        /// The item.
        id: Option<u64>,
        /// What is wrong.
        why: ChildError,
    },
}

#[derive(Deserialize)]
struct Said<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    out: Option<&'a RawValue>,
    error: Option<String>,
    heartbeat: Option<bool>,
    metrics: Option<Map<String, Value>>,
}

/// Of a line that is too long, so many times the longest is read to find its end; what is longer has none.
const TIMES_SKIPPED: usize = 16;

/// Passes on what the child says of its items until its output ends or cannot be followed any more.
pub(super) async fn hear<R>(
    output: R,
    vitals: Vitals,
    limits: ItemLimits,
    answers: Sender<Result<Heard, ChildError>>,
) where
    R: AsyncRead + Unpin,
{
    let mut output = BufReader::with_capacity(64 * 1024, output);
    let mut line = Vec::new();
    loop {
        let heard = match next(&mut output, &mut line, &vitals, &limits).await {
            Ok(Some(Some(heard))) => Ok(heard),
            Ok(Some(None)) => continue,
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let over = heard.is_err();
        if answers.send(heard).await.is_err() || over {
            return;
        }
    }
}

/// What is understood of a child's whole output, up to where it cannot be followed any more: for fuzzing.
pub async fn understood(output: &[u8], limits: ItemLimits) -> Vec<(u64, Processed)> {
    let (heard, mut answers) = tokio::sync::mpsc::channel(16);
    let (_exit, exit) = tokio::sync::watch::channel(None);
    let mut all = Vec::new();
    let collect = async {
        while let Some(Ok(heard)) = answers.recv().await {
            if let Heard::Answer { id, said } = heard {
                all.push((id, said));
            }
        }
    };
    tokio::join!(hear(output, Vitals::new(0, exit), limits, heard), collect);
    all
}

/// None: the output has ended. Some none: a line that is about no item.
async fn next<R: AsyncBufRead + Unpin>(
    output: &mut R,
    line: &mut Vec<u8>,
    vitals: &Vitals,
    limits: &ItemLimits,
) -> Result<Option<Option<Heard>>, ChildError> {
    let limit = longest_answer(limits);
    let unreadable = |error: std::io::Error| ChildError::Unreadable(error.to_string());
    match read_line(output, line, limit).await.map_err(unreadable)? {
        Line::Whole => Ok(Some(understand(line, limits, vitals))),
        Line::Long => {
            let why = ChildError::LongLine { limit };
            if !skip_line(output, limit.saturating_mul(TIMES_SKIPPED)).await.map_err(unreadable)? {
                return Err(why);
            }
            Ok(Some(Some(Heard::Fault { id: glimpse(line).id, why })))
        }
        Line::End => Ok(None),
    }
}

/// What one line says of an item; none: nothing. The child's numbers and its heartbeat are noted in its vitals.
pub(super) fn understand(line: &[u8], limits: &ItemLimits, vitals: &Vitals) -> Option<Heard> {
    let malformed = |cause: String| ChildError::Malformed { cause, line: tamed(line, 200) };
    let said: Said = match serde_json::from_slice(line) {
        Ok(said) => said,
        Err(error) => {
            let seen = glimpse(line);
            let why = malformed(cause(&error));
            if seen.id.is_none() && seen.metrics {
                vitals.complain(&why.to_string());
                return None;
            }
            return Some(Heard::Fault { id: seen.id, why });
        }
    };
    let reported = said.metrics.is_some();
    for (name, value) in said.metrics.into_iter().flatten() {
        if let Err(error) = vitals.metrics().set(&name, value.as_f64().unwrap_or(f64::NAN)) {
            vitals.complain(&error.to_string());
        }
    }
    vitals.beat();
    match (said.id, said.out, said.error) {
        (Some(id), Some(out), None) => Some(match limits.read_answer(out.get().as_bytes()) {
            Err(JsonError::Syntax { what, .. }) => {
                Heard::Fault { id: Some(id), why: malformed(what.to_owned()) }
            }
            said => {
                let said = said
                    .map_err(|error| ProcessError::Item(format!("the process's answer is no item: {error}")));
                Heard::Answer { id, said }
            }
        }),
        (Some(id), None, Some(why)) => {
            let why = ProcessError::Item(tamed(why.as_bytes(), 2_000));
            Some(Heard::Answer { id, said: Err(why) })
        }
        (None, None, None) if reported || said.heartbeat == Some(true) => None,
        (id, ..) => {
            let cause = "it is neither {id, out} nor {id, error} nor {metrics} nor {heartbeat}";
            Some(Heard::Fault { id, why: malformed(cause.to_owned()) })
        }
    }
}

/// The longest line that a child may write: an item that was within the limits may come back several times, or in a
/// spelling that is longer (a writer that is fond of spaces and of `\u00e9`).
const fn longest_answer(limits: &ItemLimits) -> usize {
    4 * limits.encoded + 64 * 1024
}

/// Keeps the newest lines of the child's log.
pub(super) async fn keep_log<R: AsyncRead + Unpin>(log: R, vitals: Vitals) {
    const LINE: usize = 2_048;
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    let mut within = false;
    loop {
        let read = match read_line(&mut log, &mut line, LINE).await {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(pid = vitals.pid(), %error, "the child's log cannot be read any more");
                return;
            }
        };
        if read == Line::End {
            return;
        }
        // Of a long line only the beginning is kept.
        if !within && !line.iter().all(u8::is_ascii_whitespace) {
            let kept = tamed(&line, 500);
            tracing::debug!(pid = vitals.pid(), "{}", printable(&kept));
            vitals.log(kept);
        }
        within = read == Line::Long;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn vitals() -> Vitals {
        Vitals::new(0, tokio::sync::watch::channel(None).1)
    }

    fn understand(line: &[u8], vitals: &Vitals) -> Option<Heard> {
        super::understand(line, &ItemLimits::default(), vitals)
    }

    fn read(line: &[u8]) -> Option<Heard> {
        understand(line, &vitals())
    }

    #[test]
    fn what_is_said_of_a_line_is_short_however_long_the_line_is() {
        let long = "x".repeat(100_000);
        for line in [format!("\"{long}\""), format!(r#"{{"id":"{long}"}}"#)] {
            let Some(Heard::Fault { why, .. }) = read(line.as_bytes()) else { panic!("it is no answer") };
            assert!(why.to_string().len() < 1_000, "{} bytes", why.to_string().len());
        }
    }

    #[test]
    fn an_answer_that_is_no_item_fails_the_item_and_not_the_process() {
        let deep = "[".repeat(61) + &"]".repeat(61);
        for body in [deep.as_str(), "{\"a\":1,\"a\":2}"] {
            let Some(Heard::Answer { id: 7, said: Err(ProcessError::Item(error)) }) =
                read(format!(r#"{{"id":7,"out":[{body}]}}"#).as_bytes())
            else {
                panic!("it is an answer");
            };
            assert!(error.starts_with("the process's answer is no item: "), "{error}");
        }
    }

    #[test]
    fn answers_errors_and_heartbeats_are_told_apart() {
        let answer = read(br#"{"id":3,"out":[1,"x"],"took_ms":5}"#);
        assert!(
            matches!(answer, Some(Heard::Answer { id: 3, said: Ok(out) }) if out == [json!(1), json!("x")])
        );
        let Some(Heard::Answer { id: 4, said: Err(error) }) = read(br#"{"id":4,"error":"no\u001b[31m red"}"#)
        else {
            panic!("an item's error is an answer");
        };
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
        assert!(read(br#"{"heartbeat":true}"#).is_none());
    }

    #[test]
    fn what_is_of_no_kind_is_a_fault_of_the_item_that_it_names() {
        for (line, named) in [
            ("", None),
            ("hello", None),
            ("[]", None),
            ("{}", None),
            (r#"{"id":1}"#, Some(1)),
            (r#"{"id":1,"out":[],"error":"x"}"#, Some(1)),
            (r#"{"id":1,"out":[{"n":NaN}]}"#, Some(1)),
            (r#"{"id":1,"out":[-Infinity]}"#, Some(1)),
            (r#"{"id":1,"out":["\ud83d"]}"#, Some(1)),
            (r#"{"id":-1,"out":[]}"#, None),
        ] {
            let heard = read(line.as_bytes());
            assert!(
                matches!(heard, Some(Heard::Fault { id, why: ChildError::Malformed { .. } }) if id == named),
                "{line}: {heard:?}"
            );
        }
    }

    #[test]
    fn numbers_of_its_own_are_taken_with_an_answer_or_alone() {
        let vitals = vitals();
        assert!(understand(br#"{"metrics":{"cache-hits":3,"score":0.5}}"#, &vitals).is_none());
        assert!(understand(br#"{"id":1,"out":[],"metrics":{"score":0.75}}"#, &vitals).is_some());
        assert_eq!(vitals.metrics().values(), [("cache-hits".into(), 3.0), ("score".into(), 0.75)]);
        assert_eq!(vitals.take_complaint(), None);
    }

    #[test]
    fn a_number_that_is_refused_is_complained_of_once_and_fails_no_item() {
        for line in [
            r#"{"metrics":{"latency-p99-ms":1}}"#,
            r#"{"metrics":{"score":"high"}}"#,
            r#"{"metrics":{"score":NaN}}"#,
            r#"{"metrics":{"Score":1}}"#,
        ] {
            let vitals = vitals();
            assert!(understand(line.as_bytes(), &vitals).is_none(), "{line}");
            assert!(understand(line.as_bytes(), &vitals).is_none(), "{line}");
            assert!(vitals.take_complaint().is_some(), "{line}");
            assert_eq!(vitals.take_complaint(), None, "{line}");
            assert!(vitals.metrics().values().is_empty(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_understood_or_refused_in_few_words(line in prop::collection::vec(any::<u8>(), 0..2_000)) {
            if let Some(Heard::Fault { why, .. }) = read(&line) {
                prop_assert!(why.to_string().chars().count() < 2_000);
            }
        }
    }
}
