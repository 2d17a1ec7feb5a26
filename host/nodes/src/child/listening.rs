//! Reading what a child writes. All of it is a stranger's: every line is bounded, and nothing of it is believed unread.

use flyball_json::{ItemLimits, JsonError};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncRead, BufReader};
use tokio::sync::mpsc::Sender;

use super::error::tamed;
use super::line::{Line, read_line};
use super::{ChildError, Vitals};
use crate::{ProcessError, Processed};

/// A child's answer to one item.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) said: Processed,
}

#[derive(Deserialize)]
struct Said<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    out: Option<&'a RawValue>,
    error: Option<String>,
    heartbeat: Option<bool>,
}

/// Passes on the child's answers until its output ends or it breaks the protocol.
pub(super) async fn hear<R>(
    output: R,
    vitals: Vitals,
    limits: ItemLimits,
    answers: Sender<Result<Answer, ChildError>>,
) where
    R: AsyncRead + Unpin,
{
    let mut output = BufReader::with_capacity(64 * 1024, output);
    let mut line = Vec::new();
    let limit = longest_answer(&limits);
    loop {
        let heard = match read_line(&mut output, &mut line, limit).await {
            Ok(Line::Whole) => understand(&line, &limits),
            Ok(Line::Long) => match too_long(&line, limit) {
                // Whoever waits for it sees that it takes too long, when there is no end to it.
                Ok(answer) => pass_over(&mut output, &mut line).await.map(|()| Some(answer)),
                Err(error) => Err(error),
            },
            Ok(Line::End) => return,
            Err(error) => Err(ChildError::Unreadable(error.to_string())),
        };
        let heard = match heard {
            Ok(answer) => {
                vitals.beat();
                let Some(answer) = answer else { continue };
                Ok(answer)
            }
            Err(error) => Err(error),
        };
        let over = heard.is_err();
        if answers.send(heard).await.is_err() || over {
            return;
        }
    }
}

/// What is understood of a child's whole output, up to where it breaks the protocol: for fuzzing.
pub async fn understood(output: &[u8], limits: ItemLimits) -> Vec<(u64, Processed)> {
    let (heard, mut answers) = tokio::sync::mpsc::channel(16);
    let (_exit, exit) = tokio::sync::watch::channel(None);
    let mut all = Vec::new();
    let collect = async {
        while let Some(Ok(Answer { id, said })) = answers.recv().await {
            all.push((id, said));
        }
    };
    tokio::join!(hear(output, Vitals::new(0, exit), limits, heard), collect);
    all
}

/// An answer that is longer than any: it fails its item, if it begins by saying which that is.
fn too_long(line: &[u8], limit: usize) -> Result<Answer, ChildError> {
    let begins = line.get(..100).unwrap_or(line);
    let id = std::str::from_utf8(begins).ok().and_then(|text| {
        let digits = text.trim_start().strip_prefix('{')?.trim_start().strip_prefix("\"id\"")?;
        let digits = digits.trim_start().strip_prefix(':')?.trim_start();
        digits.split_once(',')?.0.trim_end().parse().ok()
    });
    let why = || ProcessError::Item(format!("the process's answer has more than {limit} bytes"));
    id.map(|id| Answer { id, said: Err(why()) }).ok_or(ChildError::LongLine { limit })
}

/// The rest of a line, of which nothing is kept.
async fn pass_over<R: AsyncBufRead + Unpin>(output: &mut R, line: &mut Vec<u8>) -> Result<(), ChildError> {
    const PART: usize = 64 * 1024;
    loop {
        match read_line(output, line, PART).await {
            Ok(Line::Long) => {}
            Ok(Line::Whole | Line::End) => return Ok(()),
            Err(error) => return Err(ChildError::Unreadable(error.to_string())),
        }
    }
}

/// None: a heartbeat.
fn understand(line: &[u8], limits: &ItemLimits) -> Result<Option<Answer>, ChildError> {
    let malformed = |cause: String| ChildError::Malformed { cause, line: tamed(line, 200) };
    let said: Said = serde_json::from_slice(line).map_err(|error| malformed(error.to_string()))?;
    match said {
        Said { id: Some(id), out: Some(out), error: None, .. } => {
            let said = match limits.read_answer(out.get().as_bytes()) {
                // It is JSON, as the line is.
                Err(JsonError::Syntax { what, .. }) => return Err(malformed(what.to_owned())),
                said => said
                    .map_err(|error| ProcessError::Item(format!("the process's answer is no item: {error}"))),
            };
            Ok(Some(Answer { id, said }))
        }
        Said { id: Some(id), out: None, error: Some(why), .. } => {
            Ok(Some(Answer { id, said: Err(ProcessError::Item(tamed(why.as_bytes(), 2_000))) }))
        }
        Said { id: None, out: None, error: None, heartbeat: Some(true) } => Ok(None),
        _ => Err(malformed("it is neither {id, out} nor {id, error} nor {heartbeat}".to_owned())),
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
            tracing::debug!(pid = vitals.pid(), "{kept}");
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

    fn understand(line: &[u8]) -> Result<Option<Answer>, ChildError> {
        super::understand(line, &ItemLimits::default())
    }

    #[test]
    fn answers_errors_and_heartbeats_are_told_apart() {
        let answer = understand(br#"{"id":3,"out":[1,"x"],"took_ms":5}"#).unwrap().unwrap();
        assert_eq!((answer.id, answer.said.unwrap()), (3, vec![json!(1).into(), json!("x").into()]));
        let error = understand(br#"{"id":4,"error":"no\u001b[31m red"}"#).unwrap().unwrap();
        assert_eq!(error.said.unwrap_err().to_string(), "no\u{fffd}[31m red");
        assert!(understand(br#"{"heartbeat":true}"#).unwrap().is_none());
    }

    #[test]
    fn an_answer_that_is_no_item_fails_the_item_and_not_the_process() {
        let deep = "[".repeat(61) + &"]".repeat(61);
        for body in [deep.as_str(), "{\"a\":1,\"a\":2}"] {
            let answer = understand(format!(r#"{{"id":7,"out":[{body}]}}"#).as_bytes()).unwrap().unwrap();
            let error = answer.said.unwrap_err();
            assert!(matches!(error, ProcessError::Item(_)), "{error:?}");
            assert!(error.to_string().starts_with("the process's answer is no item: "), "{error}");
        }
    }

    #[test]
    fn what_is_of_no_kind_is_malformed() {
        for line in [
            "",
            "hello",
            "[]",
            "{}",
            r#"{"id":1}"#,
            r#"{"id":1,"out":[],"error":"x"}"#,
            r#"{"id":-1,"out":[]}"#,
        ] {
            assert!(matches!(understand(line.as_bytes()), Err(ChildError::Malformed { .. })), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_understood_or_refused_in_few_words(line in prop::collection::vec(any::<u8>(), 0..2_000)) {
            if let Err(error) = understand(&line) {
                prop_assert!(error.to_string().chars().count() < 700);
            }
        }
    }
}
