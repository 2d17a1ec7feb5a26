//! What becomes of the items of a batch when their answers are there.

use std::time::Duration;

use flyball_nodes::{Item, Json, ProcessError, Processed, Size, Unavailable, WorkerEnd};

use crate::ledger::Fate;
use crate::node::Node;
use crate::piece::{Batch, Letter, Piece, Tag, Tickets};
use crate::replacing::Culprit;
use crate::stock::Role;

/// How many items ended here, and whether the worker did.
pub(crate) struct Settled {
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    pub(crate) died: Option<String>,
    /// Items to which the worker said something, be it that they fail.
    pub(crate) answered: u64,
    /// What an item had to do with that.
    pub(crate) culprit: Culprit,
    /// What is outside cannot take something now.
    pub(crate) refused: Option<Refusal>,
}

/// What is outside says no for now, and perhaps when to come back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Refusal {
    pub(crate) retry_after: Option<Duration>,
}

/// Books the answers: what goes on into `out`, what is to be tried again back into the batch.
pub(crate) fn settle(
    node: &Node,
    batch: &mut Batch,
    asked: usize,
    answers: Vec<Processed>,
    gathers: bool,
    end: WorkerEnd,
) -> Settled {
    // A worker that left when it had done its share left the item to the next.
    let blame = (asked == 1 || gathers) && end != WorkerEnd::Recycled;
    let given = answers.len();
    let mut items = std::mem::take(&mut batch.items);
    let mut tags = std::mem::take(&mut batch.tags);
    let rest = items.split_off(asked).into_iter().zip(tags.split_off(asked));
    let mut answers = answers.into_iter();
    let mut settled =
        Settled { finished: 0, failed: 0, died: None, answered: 0, culprit: Culprit::None, refused: None };
    let mut whole = Gathered::default();
    batch.mixed |= !batch.out.is_empty();
    for (item, tag) in items.into_iter().zip(tags) {
        match answers.next().map(|answer| within_limits(node, answer)) {
            Some(Ok(bodies)) => {
                settled.finished += 1;
                settled.answered += 1;
                if gathers {
                    whole.add(bodies, tag);
                } else {
                    pass(node, batch, &item, tag, bodies);
                }
            }
            Some(Err(ProcessError::Item(error))) => {
                node.mishap(&error);
                settled.answered += 1;
                settled.failed += u64::from(!again(node, batch, item, tag, &error));
            }
            Some(Err(ProcessError::Unavailable(unavailable))) => {
                refused(node, batch, &mut settled, item, tag, unavailable);
            }
            Some(Err(ProcessError::Worker(error))) => {
                unanswered(node, batch, &mut settled, item, tag, error, blame.then_some(end));
            }
            None => {
                let error = format!("it answered {given} of {asked} items");
                unanswered(node, batch, &mut settled, item, tag, error, blame.then_some(end));
            }
        }
    }
    whole.pass(node, batch);
    rest.for_each(|(item, tag)| batch.keep(item, tag));
    if !batch.letters.is_empty() {
        settled.refused.get_or_insert_default();
    }
    settled
}

/// A body, and how large it is.
type Made = (Json, Size);

/// An answer that is no item fails, whoever gave it: what comes behind may rely on the limits.
fn within_limits(node: &Node, answer: Processed) -> Result<Vec<Made>, ProcessError> {
    let bodies = answer?;
    let sizes = node
        .shared
        .limits
        .check_answer(&bodies)
        .map_err(|limit| ProcessError::Item(format!("what it made is too large for an item: {limit}")))?;
    Ok(bodies.into_iter().zip(sizes).collect())
}

/// A sink's item waits for as long as what is outside cannot take it, and its tries count only where it may be the one
/// to blame. Elsewhere it is a try that failed.
fn refused(
    node: &Node,
    batch: &mut Batch,
    settled: &mut Settled,
    item: Item,
    mut tag: Tag,
    unavailable: Unavailable,
) {
    // Those that were not asked any more say the same.
    if settled.refused.is_none() {
        node.mishap(&unavailable.why);
    }
    let refusal = settled.refused.get_or_insert_default();
    refusal.retry_after = refusal.retry_after.max(unavailable.retry_after);
    if node.role != Role::Sink {
        settled.failed += u64::from(!again(node, batch, item, tag, &unavailable.why));
        return;
    }
    if unavailable.by_item && is_suspect(node, &tag) && tag.passed_over {
        settled.failed += 1;
        return bury(node, batch, item, tag.tickets, unavailable.why);
    }
    tag.tries = tag.tries.saturating_add(u32::from(unavailable.by_item));
    batch.keep(item, tag);
}

/// The item was tried as often as it may be, and it is not known yet whether it is to blame.
pub(crate) fn is_suspect(node: &Node, tag: &Tag) -> bool {
    node.role == Role::Sink && tag.tries > node.retries
}

/// Whether the item is tried again; when not, it is dead-lettered.
fn again(node: &Node, batch: &mut Batch, item: Item, mut tag: Tag, error: &str) -> bool {
    if tag.tries < node.retries {
        tag.tries += 1;
        batch.keep(item, tag);
        return true;
    }
    bury(node, batch, item, tag.tickets, error.to_owned());
    false
}

fn bury(node: &Node, batch: &mut Batch, item: Item, tickets: Tickets, error: String) {
    let letter = Letter { item, tickets, error };
    if !is_buried(node, &letter) {
        batch.letters.push(letter);
    }
}

/// Tries again to write what could not be written before.
pub(crate) fn bury_rest(node: &Node, batch: &mut Batch) -> Option<Refusal> {
    let letters = std::mem::take(&mut batch.letters);
    batch.letters.extend(letters.into_iter().filter(|letter| !is_buried(node, letter)));
    (!batch.letters.is_empty()).then(Refusal::default)
}

/// Whether the item is among the dead letters; before, it is not in the account as one.
pub(crate) fn is_buried(node: &Node, letter: &Letter) -> bool {
    match node.shared.mishaps.bury(&node.id(), &letter.item.body, &letter.error) {
        Ok(()) => {
            letter.tickets.mark(Fate::DeadLettered);
            true
        }
        Err(error) => {
            node.mishap(&format!("a dead letter cannot be written, so its item waits here: {error}"));
            false
        }
    }
}

/// An item that a dead worker did not answer. Its tries count only where it is to blame: where it was given alone, or
/// is the first of a gathering, and [`crate::replacing::Blame`] falls on it. The others just go back.
fn unanswered(
    node: &Node,
    batch: &mut Batch,
    settled: &mut Settled,
    item: Item,
    mut tag: Tag,
    error: String,
    alone: Option<WorkerEnd>,
) {
    let Some(end) = alone.filter(|_| settled.died.is_none()) else {
        settled.died.get_or_insert(error);
        return batch.keep(item, tag);
    };
    let is_to_blame = node.blame.lock().falls(tag.deaths, end);
    tag.deaths = tag.deaths.saturating_add(1);
    if !is_to_blame {
        batch.keep(item, tag);
    } else if again(node, batch, item, tag, &error) {
        settled.culprit = Culprit::TriedAgain;
    } else {
        settled.culprit = Culprit::DeadLettered;
        settled.failed += 1;
    }
    settled.died = Some(error);
}

fn pass(node: &Node, batch: &mut Batch, item: &Item, tag: Tag, mut bodies: Vec<Made>) {
    if node.role == Role::Sink {
        tag.tickets.mark(Fate::Delivered);
        return;
    }
    if bodies.len() == 1
        && let Some((body, size)) = bodies.pop()
    {
        batch.out.push(Piece { item: Item { id: item.id, body }, tag: Tag { size, ..tag } });
        return;
    }
    if bodies.is_empty() {
        tag.tickets.mark(Fate::Filtered);
    }
    for (body, size) in bodies {
        batch.out.push(node.piece(body, size, node.next_id(), tag.tickets.clone(), tag.slot));
    }
}

/// What a gathering node makes of a batch stands for all of it.
#[derive(Default)]
struct Gathered {
    bodies: Vec<Made>,
    tickets: Vec<Tickets>,
    slot: usize,
}

impl Gathered {
    fn add(&mut self, bodies: Vec<Made>, tag: Tag) {
        if self.tickets.is_empty() {
            self.slot = tag.slot;
        }
        self.bodies.extend(bodies);
        self.tickets.push(tag.tickets);
    }

    fn pass(self, node: &Node, batch: &mut Batch) {
        if self.tickets.is_empty() {
            return;
        }
        let tickets = Tickets::Many(self.tickets.into());
        if self.bodies.is_empty() {
            tickets.mark(Fate::Filtered);
        }
        for (body, size) in self.bodies {
            batch.out.push(node.piece(body, size, node.next_id(), tickets.clone(), self.slot));
        }
    }
}
