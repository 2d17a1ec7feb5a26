//! Putting a child's answers to the items of a batch. Whatever the child writes, each item gets one answer within the time
//! that it is given, or the child is at fault and the caller ends it.
//!
//! [`super::ChildProcessor`] collects from a process; [`answers_in`] from any stream, for tests and for the fuzz target.

use std::future::Future;

use tokio::io::AsyncRead;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Duration, Instant, sleep};

use super::allowance::Allowance;
use super::listening::{Heard, hear};
use super::overdue::Overdue;
use super::{ChildError, ChildOptions, Vitals};
use crate::{ProcessError, Processed};

/// How long after a child's end the rest of its output may take: somebody else may hold the pipe open for ever. And how
/// long an answer may follow a wrong line that may have been instead of it.
pub(super) const REST: Duration = Duration::from_millis(250);

/// So many wrong lines without an answer between them end the child.
pub(super) const MOST_FAULTS: u32 = 100;

/// The answers to one batch, as far as they are known.
pub(super) struct Collecting<'a> {
    /// The number of the first item.
    pub(super) first: u64,
    pub(super) answers: &'a mut [Option<Processed>],
    /// Wrong lines since the last answer, over batches.
    pub(super) faults: &'a mut u32,
    /// What was wrong with lines that name no item.
    pub(super) strays: Vec<ChildError>,
    /// What is left of the time that an item may take.
    allowance: Allowance,
    /// Since when an answer is waited for.
    since: Instant,
    pub(super) overdue: &'a mut Overdue,
    /// The items that were asked for again, and the numbers by which.
    again: Vec<(u64, usize)>,
}

/// Why collecting ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collected {
    /// Every item has its answer.
    All,
    /// The child is to be asked again for the items without an answer: see [`Collecting::ask_again`].
    Overdue,
}

impl<'a> Collecting<'a> {
    pub(super) fn new(
        first: u64,
        answers: &'a mut [Option<Processed>],
        faults: &'a mut u32,
        overdue: &'a mut Overdue,
        options: &ChildOptions,
    ) -> Self {
        Self {
            first,
            answers,
            faults,
            strays: Vec::new(),
            allowance: Allowance::new(options.item_timeout),
            since: Instant::now(),
            overdue,
            again: Vec::new(),
        }
    }

    /// The items without an answer, by their place, each with the number by which it is asked for again.
    pub(super) fn ask_again(&mut self, next_id: &mut u64) -> Vec<(u64, usize)> {
        let missing = self.answers.iter().enumerate().filter(|(_, answer)| answer.is_none());
        for (index, _) in missing {
            self.again.push((*next_id, index));
            *next_id += 1;
        }
        self.again.clone()
    }

    fn missing(&self) -> usize {
        self.answers.iter().filter(|answer| answer.is_none()).count()
    }

    /// Which item has that number, if its answer is waited for; and whether the number is that of a second asking.
    fn place(&mut self, id: u64) -> Option<(usize, bool)> {
        let asked_again = self.again.iter().find(|(again, index)| *again == id || self.number(*index) == id);
        let index = match asked_again {
            Some((_, index)) => *index,
            None => usize::try_from(id.checked_sub(self.first)?).ok()?,
        };
        self.answers.get(index).filter(|answer| answer.is_none())?;
        let Some((again, _)) = asked_again else { return Some((index, false)) };
        let second = *again == id;
        self.overdue.answered(!second, if second { self.number(index) } else { *again });
        Some((index, second))
    }

    fn number(&self, index: usize) -> u64 {
        self.first + index as u64
    }

    fn put(&mut self, index: usize, answer: Processed) {
        if let Some(place) = self.answers.get_mut(index) {
            *place = Some(answer);
        }
    }

    /// Takes in what was heard. Whether it was an answer; the error, when there were too many faults.
    fn take(&mut self, heard: Heard, vitals: &Vitals) -> Result<bool, ChildError> {
        let why = match heard {
            Heard::Answer { id, said } => {
                if let Some((index, second)) = self.place(id) {
                    self.put(index, said);
                    *self.faults = 0;
                    vitals.answer();
                    let now = Instant::now();
                    if !second {
                        self.overdue.took(now.saturating_duration_since(self.since));
                    }
                    self.since = now;
                    return Ok(true);
                }
                if self.overdue.is_late(id) {
                    return Ok(false);
                }
                ChildError::Unasked { id }
            }
            Heard::Fault { id: Some(id), why } => {
                if let Some((index, _)) = self.place(id) {
                    self.put(index, Err(ProcessError::Item(why.to_string())));
                }
                why
            }
            Heard::Fault { id: None, why } => {
                self.strays.push(why.clone());
                why
            }
        };
        vitals.complain(&why.to_string());
        *self.faults += 1;
        if *self.faults > MOST_FAULTS {
            return Err(ChildError::Faulty { count: *self.faults, last: Box::new(why) });
        }
        Ok(false)
    }

    /// Nothing is left but items whose answers were of no use.
    fn hopeless(&self) -> bool {
        !self.strays.is_empty() && self.strays.len() >= self.missing()
    }

    fn give_up(&mut self) {
        let mut strays = self.strays.drain(..);
        for answer in self.answers.iter_mut().filter(|answer| answer.is_none()) {
            let Some(why) = strays.next() else { return };
            *answer = Some(Err(ProcessError::Item(why.to_string())));
        }
    }

    /// Fills in the answers as they come, and goes on where it was. The error, when it is known; none: the output ended, or
    /// its writer did.
    pub(super) async fn collect(
        &mut self,
        heard: &mut Receiver<Result<Heard, ChildError>>,
        vitals: &Vitals,
        options: &ChildOptions,
        ended: impl Future<Output = ()>,
    ) -> Result<Collected, Option<ChildError>> {
        let ended = async {
            ended.await;
            sleep(REST).await;
        };
        tokio::pin!(ended);
        let mut giving_up = false;
        let mut patience = self.patience(options);
        while self.missing() > 0 {
            let next = tokio::select! {
                biased;
                next = heard.recv() => next,
                () = &mut ended => None,
                () = used_up(&mut patience) => {
                    return Ok(Collected::Overdue);
                }
                () = self.allowance.used_up() => {
                    if giving_up {
                        self.give_up();
                        return Ok(Collected::All);
                    }
                    return Err(Some(ChildError::Silent { after: options.item_timeout }));
                }
            };
            if self.take(next.ok_or(None)?.map_err(Some)?, vitals).map_err(Some)? {
                self.allowance = Allowance::new(options.item_timeout);
                patience = self.patience(options);
                giving_up = false;
            }
            if self.hopeless() && !giving_up {
                self.allowance.at_most(REST);
                patience = None;
                giving_up = true;
            }
        }
        Ok(Collected::All)
    }

    /// How long an answer is waited for before the child is asked again, where it may be and was not yet.
    fn patience(&self, options: &ChildOptions) -> Option<Allowance> {
        let may = options.asks_again && self.again.is_empty();
        may.then(|| self.overdue.after(options.item_timeout)).flatten().map(Allowance::new)
    }
}

/// Until there is some, and it is used up.
async fn used_up(patience: &mut Option<Allowance>) {
    match patience {
        Some(patience) => patience.used_up().await,
        None => std::future::pending().await,
    }
}

/// The answers that a child's output holds for a batch of so many items, numbered from 1; and why the child would be ended.
/// What it does not answer fails.
pub async fn answers_in<R>(
    output: R,
    items: usize,
    options: &ChildOptions,
) -> (Vec<Processed>, Option<ChildError>)
where
    R: AsyncRead + Unpin,
{
    let vitals = Vitals::new(0, tokio::sync::watch::channel(None).1);
    let (answered, mut heard) = channel(256);
    let mut answers: Vec<Option<Processed>> = (0..items).map(|_| None).collect();
    let mut faults = 0;
    let mut overdue = Overdue::default();
    let mut collecting = Collecting::new(1, &mut answers, &mut faults, &mut overdue, options);
    let (collected, ()) = tokio::join!(
        async {
            let collected = collecting.collect(&mut heard, &vitals, options, std::future::pending()).await;
            // A writer that waits for room must not wait for ever.
            drop(heard);
            collected
        },
        hear(output, vitals.clone(), options.limits, answered)
    );
    let why = match collected {
        Ok(_) => None,
        Err(why) => Some(why.unwrap_or(ChildError::Closed)),
    };
    let unanswered = ProcessError::Worker(why.as_ref().map_or_else(String::new, ToString::to_string));
    let answers = answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(unanswered.clone())));
    (answers.collect(), why)
}

#[cfg(test)]
mod tests {
    use flyball_json::ItemLimits;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    async fn says(lines: &str, items: usize) -> (Vec<Processed>, Option<ChildError>) {
        answers_in(lines.as_bytes(), items, &ChildOptions::default()).await
    }

    fn item_error(answer: &Processed) -> &str {
        match answer {
            Err(ProcessError::Item(why)) => why,
            other => panic!("expected the item to fail, not {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_number_fails_its_item_and_no_other() {
        let (answers, why) =
            says("{\"id\":2,\"out\":[{\"score\":NaN}]}\n{\"id\":1,\"out\":[1]}\n{\"id\":3,\"out\":[3]}\n", 3)
                .await;
        assert_eq!(answers[0].as_ref().unwrap(), &[json!(1)]);
        assert!(item_error(&answers[1]).contains("NaN"), "{}", item_error(&answers[1]));
        assert_eq!(answers[2].as_ref().unwrap(), &[json!(3)]);
        assert_eq!(why, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_answer_and_one_to_what_was_not_asked_change_nothing() {
        let lines = "{\"id\":1,\"out\":[1]}\n{\"id\":1,\"out\":[9]}\n{\"id\":77,\"out\":[9]}\n{\"id\":0,\"out\":[9]}\n{\"id\":2,\"out\":[2]}\n";
        let (answers, why) = says(lines, 2).await;
        assert_eq!(answers[0].as_ref().unwrap(), &[json!(1)]);
        assert_eq!(answers[1].as_ref().unwrap(), &[json!(2)]);
        assert_eq!(why, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_follows_a_line_of_noise_is_taken() {
        let (answers, why) = says("loading the model\n{\"id\":1,\"out\":[1]}\n", 1).await;
        assert_eq!(answers[0].as_ref().unwrap(), &[json!(1)]);
        assert_eq!(why, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_too_long_fails_the_item_that_it_names() {
        let limits = ItemLimits { encoded: 1_000, ..ItemLimits::default() };
        let options = ChildOptions { limits, ..ChildOptions::default() };
        let lines = format!("{{\"id\":1,\"out\":[\"{}\"]}}\n{{\"id\":2,\"out\":[2]}}\n", "x".repeat(200_000));
        let (answers, why) = answers_in(lines.as_bytes(), 2, &options).await;
        assert!(item_error(&answers[0]).contains("a line of more than"));
        assert_eq!(answers[1].as_ref().unwrap(), &[json!(2)]);
        assert_eq!(why, None);
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_lines_that_go_on_and_on_end_the_child() {
        let (answers, why) = says(&"no answer\n".repeat(1_000), 2_000).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(ProcessError::Worker(_)))));
        assert!(matches!(why, Some(ChildError::Faulty { count: 101, .. })), "{why:?}");
    }

    proptest! {
        #[test]
        fn whatever_is_written_each_item_has_one_answer(
            lines in prop::collection::vec(prop_oneof![
                (0_u64..6).prop_map(|id| format!("{{\"id\":{id},\"out\":[{id}]}}")),
                (0_u64..6).prop_map(|id| format!("{{\"id\":{id},\"out\":[NaN]}}")),
                (0_u64..6).prop_map(|id| format!("{{\"id\":{id},\"error\":\"no\"}}")),
                Just("{\"heartbeat\":true}".to_owned()),
                Just("{\"metrics\":{\"a\":1}}".to_owned()),
                ".{0,40}",
            ], 0..40),
            items in 0_usize..5,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            let (answers, why) = runtime.block_on(says(&lines.join("\n"), items));
            prop_assert_eq!(answers.len(), items);
            for (answer, id) in answers.iter().zip(1_u64..) {
                match answer {
                    Ok(out) => prop_assert_eq!(out, &[json!(id)]),
                    Err(ProcessError::Worker(_)) => prop_assert!(why.is_some()),
                    Err(ProcessError::Item(_)) => {}
                    Err(ProcessError::Unavailable(_)) => prop_assert!(false, "a child is no server that is away"),
                }
            }
        }
    }
}
