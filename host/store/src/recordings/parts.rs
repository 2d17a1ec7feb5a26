//! What calls share is written once: an observation is in the window of every later call for as long as the window
//! is, and a graph in each call until it changes.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use flyball_model::{Graph, GraphSpec, History, NodeType, Observation, PluginUse};
use flyball_ports::Kept;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::mask::Mask;
use super::packed::{Digest, digest, packed, squeezed};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwritable {
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    #[error("{0}")]
    Shape(#[from] rmp_serde::encode::Error),
    #[error("{0}")]
    Compression(#[from] std::io::Error),
    #[error("a call of {bytes} bytes is larger than a call may be, {most} bytes; raise `--record-max-mb`")]
    TooLarge { bytes: usize, most: usize },
}

/// A transaction in which calls are written.
pub(crate) struct Batch<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) number: i64,
    /// Bytes that it adds.
    pub(crate) added: Cell<usize>,
}

impl Batch<'_> {
    fn touch(&self, part: i64) -> rusqlite::Result<()> {
        self.db.prepare_cached("UPDATE parts SET used = ?2 WHERE id = ?1")?.execute((part, self.number))?;
        Ok(())
    }

    fn put(&self, digest: Digest, bytes: &[u8], masked: u32) -> Result<Part, Unwritable> {
        let mut find = self.db.prepare_cached("SELECT id FROM parts WHERE digest = ?1")?;
        let known: Option<i64> = find.query_row((digest,), |row| row.get(0)).optional()?;
        let id = match known {
            Some(id) => {
                self.touch(id)?;
                id
            }
            None => {
                let body = squeezed(bytes)?;
                self.added.set(self.added.get().saturating_add(body.len()));
                let mut put =
                    self.db.prepare_cached("INSERT INTO parts (digest, body, used) VALUES (?1, ?2, ?3)")?;
                put.insert(params![digest, body, self.number])?
            }
        };
        Ok(Part { id, digest, masked, batch: self.number })
    }
}

/// Something written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) id: i64,
    pub(crate) digest: Digest,
    /// How much in it was masked.
    pub(crate) masked: u32,
    /// The newest batch that is known to refer to it.
    batch: i64,
}

/// What was written of late, by where it is in memory. Each is held, so that its place is not another's.
struct Known<T: ?Sized>(HashMap<usize, (Arc<T>, Part)>);

impl<T: ?Sized> Default for Known<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: ?Sized> Known<T> {
    fn find(&self, value: &Arc<T>) -> Option<Part> {
        self.0.get(&place(value)).map(|(_, part)| *part)
    }

    fn add(&mut self, value: &Arc<T>, part: Part) -> Part {
        self.0.insert(place(value), (Arc::clone(value), part));
        part
    }

    /// The part of this value, written if it was not, and marked as used in this batch.
    fn part(
        &mut self,
        batch: &Batch<'_>,
        value: &Arc<T>,
        write: impl FnOnce() -> Result<(Vec<u8>, u32), Unwritable>,
    ) -> Result<Part, Unwritable> {
        let part = match self.find(value) {
            Some(part) if part.batch == batch.number => return Ok(part),
            Some(part) => {
                batch.touch(part.id)?;
                Part { batch: batch.number, ..part }
            }
            None => {
                let (bytes, masked) = write()?;
                batch.put(digest(&bytes), &bytes, masked)?
            }
        };
        Ok(self.add(value, part))
    }

    /// What nobody else holds does not come again.
    fn tidy(&mut self) {
        self.0.retain(|_, (value, _)| Arc::strong_count(value) > 1);
    }
}

fn place<T: ?Sized>(value: &Arc<T>) -> usize {
    Arc::as_ptr(value).cast::<()>().addr()
}

/// The parts that were written of late.
pub(crate) struct Parts {
    pub(crate) mask: Mask,
    observations: Known<Observation>,
    windows: Known<History>,
    graphs: Known<Graph>,
    types: Known<[NodeType]>,
    uses: Known<PluginUse>,
    kept: Known<BTreeMap<String, Vec<u8>>>,
}

impl Parts {
    pub(crate) fn new(mask: Mask) -> Self {
        Self {
            mask,
            observations: Known::default(),
            windows: Known::default(),
            graphs: Known::default(),
            types: Known::default(),
            uses: Known::default(),
            kept: Known::default(),
        }
    }

    /// After a transaction that was rolled back, or that forgot parts.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.mask.clone());
    }

    pub(crate) fn tidy(&mut self) {
        self.windows.tidy();
        self.observations.tidy();
        self.graphs.tidy();
        self.types.tidy();
        self.uses.tidy();
        self.kept.tidy();
    }

    pub(crate) fn observation(
        &mut self,
        batch: &Batch<'_>,
        seen: &Arc<Observation>,
    ) -> Result<Part, Unwritable> {
        self.observations.part(batch, seen, || plainly(&**seen))
    }

    /// A window is a list of observations. They are marked as used with it, so that none is forgotten before it.
    pub(crate) fn window(&mut self, batch: &Batch<'_>, past: &Arc<History>) -> Result<Part, Unwritable> {
        if let Some(part) = self.windows.find(past)
            && part.batch == batch.number
        {
            return Ok(part);
        }
        let seen: Result<Vec<Part>, Unwritable> =
            past.newest(past.len()).map(|seen| self.observation(batch, seen)).collect();
        let seen = seen?;
        let ids: Vec<i64> = seen.iter().map(|part| part.id).collect();
        let part = batch.put(window_digest(seen.iter().map(|part| &part.digest)), &packed(&ids)?, 0)?;
        Ok(self.windows.add(past, part))
    }

    pub(crate) fn graph(&mut self, batch: &Batch<'_>, graph: &Arc<Graph>) -> Result<Part, Unwritable> {
        let mask = &self.mask;
        self.graphs.part(batch, graph, || {
            let mut graph = GraphSpec::clone(graph);
            let masked = mask.graph(&mut graph);
            Ok((packed(&graph)?, masked))
        })
    }

    pub(crate) fn types(&mut self, batch: &Batch<'_>, types: &Arc<[NodeType]>) -> Result<Part, Unwritable> {
        self.types.part(batch, types, || plainly(&**types))
    }

    pub(crate) fn used(&mut self, batch: &Batch<'_>, used: &Arc<PluginUse>) -> Result<Part, Unwritable> {
        let mask = &self.mask;
        self.uses.part(batch, used, || {
            let mut used = (**used).clone();
            let masked = mask.settings(&mut used.settings) + mask.settings(&mut used.grants.others);
            Ok((packed(&used)?, masked))
        })
    }

    pub(crate) fn kept(&mut self, batch: &Batch<'_>, kept: &Kept) -> Result<Part, Unwritable> {
        let mask = &self.mask;
        self.kept.part(batch, kept, || {
            let mut kept = (**kept).clone();
            let masked = mask.kept(&mut kept);
            Ok((packed(&kept)?, masked))
        })
    }
}

fn plainly(value: &(impl Serialize + ?Sized)) -> Result<(Vec<u8>, u32), Unwritable> {
    Ok((packed(value)?, 0))
}

/// Of a window: the numbers in it are only this file's.
pub(crate) fn window_digest<'a>(observations: impl Iterator<Item = &'a Digest>) -> Digest {
    digest(&observations.flatten().copied().collect::<Vec<u8>>())
}
