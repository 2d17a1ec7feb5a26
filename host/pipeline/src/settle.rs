//! What becomes of the items of a batch when their answers are there.

use flyball_nodes::{Item, Json, ProcessError, Processed, Size};

use crate::ledger::Fate;
use crate::node::Node;
use crate::piece::{Batch, Piece, Tag, Tickets};
use crate::stock::Role;

/// How many items ended here, and whether the worker did.
pub(crate) struct Settled {
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    pub(crate) died: Option<String>,
}

/// Books the answers: what goes on into `out`, what is to be tried again back into the batch.
pub(crate) fn settle(
    node: &Node,
    batch: &mut Batch,
    asked: usize,
    answers: Vec<Processed>,
    gathers: bool,
) -> Settled {
    let blame = asked == 1 || gathers;
    let given = answers.len();
    let mut items = std::mem::take(&mut batch.items);
    let mut tags = std::mem::take(&mut batch.tags);
    let rest = items.split_off(asked).into_iter().zip(tags.split_off(asked));
    let mut answers = answers.into_iter();
    let mut settled = Settled { finished: 0, failed: 0, died: None };
    let mut whole = Gathered::default();
    batch.mixed |= !batch.out.is_empty();
    for (item, tag) in items.into_iter().zip(tags) {
        match answers.next().map(|answer| within_limits(node, answer)) {
            Some(Ok(bodies)) => {
                settled.finished += 1;
                if gathers {
                    whole.add(bodies, tag);
                } else {
                    pass(node, batch, &item, tag, bodies);
                }
            }
            Some(Err(ProcessError::Item(error))) => {
                node.mishap(&error);
                settled.failed += u64::from(!again(node, batch, item, tag, &error));
            }
            Some(Err(ProcessError::Worker(error))) => {
                settled.failed += unanswered(node, batch, &mut settled.died, item, tag, error, blame);
            }
            None => {
                let error = format!("it answered {given} of {asked} items");
                settled.failed += unanswered(node, batch, &mut settled.died, item, tag, error, blame);
            }
        }
    }
    whole.pass(node, batch);
    rest.for_each(|(item, tag)| batch.keep(item, tag));
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

/// Whether the item is tried again; when not, it is dead-lettered.
fn again(node: &Node, batch: &mut Batch, item: Item, mut tag: Tag, error: &str) -> bool {
    if tag.tries < node.retries {
        tag.tries += 1;
        batch.keep(item, tag);
        return true;
    }
    bury(node, &item, &tag.tickets, error);
    false
}

pub(crate) fn bury(node: &Node, item: &Item, tickets: &Tickets, error: &str) {
    node.shared.mishaps.bury(&node.id(), &item.body, error);
    tickets.mark(Fate::DeadLettered);
}

/// An item that a dead worker did not answer. Its tries count only where it is to blame: where it was given alone, or
/// is the first of a gathering. The others just go back.
fn unanswered(
    node: &Node,
    batch: &mut Batch,
    died: &mut Option<String>,
    item: Item,
    tag: Tag,
    error: String,
    blame: bool,
) -> u64 {
    if died.is_some() || !blame {
        batch.keep(item, tag);
        died.get_or_insert(error);
        return 0;
    }
    let kept = again(node, batch, item, tag, &error);
    *died = Some(error);
    u64::from(!kept)
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
