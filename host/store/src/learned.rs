//! What came of actions so far: every action that was measured, in the order in which that became known, without what people had forgotten.

use flyball_model::{Event, Learned, LearnedFilter, LearnedTable, NodeSpec, UnixMillis};
use rusqlite::{Connection, Row};

use crate::events::{EVENT, event};
use crate::rows::{from_json, from_word, uint};

/// An action counts once for each code among its findings.
const MEASURED: &str = "
    SELECT DISTINCT actions.id, finding.value ->> '$.code' AS finding, kind, outcome, at, settled_at,
        (SELECT node.value FROM json_each(actions.before, '$.nodes') AS node
         WHERE node.value ->> '$.id' = actions.target) AS node
    FROM actions, json_each(actions.findings) AS finding
    WHERE settled_at IS NOT NULL AND undoes IS NULL
        AND outcome IN ('verified', 'ineffective', 'worse', 'unknown', 'failed', 'rolled-back')
    ORDER BY settled_at, actions.id";

pub(crate) fn learned(db: &Connection) -> rusqlite::Result<Vec<Learned>> {
    let mut forgotten = forgotten(db)?.into_iter().peekable();
    let mut table = LearnedTable::default();
    let mut measured = db.prepare_cached(MEASURED)?;
    let mut rows = measured.query(())?;
    while let Some(row) = rows.next()? {
        let settled_at = uint(row, "settled_at")?;
        while let Some((_, filter)) = forgotten.next_if(|(at, _)| *at < settled_at) {
            table.forget(&filter);
        }
        add(&mut table, row)?;
    }
    for (_, filter) in forgotten {
        table.forget(&filter);
    }
    Ok(table.into())
}

fn add(table: &mut LearnedTable, row: &Row<'_>) -> rusqlite::Result<()> {
    let node: Option<NodeSpec> = match row.get_ref("node")? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(from_json(row, "node")?),
    };
    let (finding, outcome) = (row.get::<_, String>("finding")?, from_word(row, "outcome")?);
    table.add_one(&finding, from_word(row, "kind")?, node.as_ref(), outcome, None, uint(row, "at")?);
    Ok(())
}

/// What people had forgotten, and when, oldest first.
fn forgotten(db: &Connection) -> rusqlite::Result<Vec<(UnixMillis, LearnedFilter)>> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {EVENT} FROM events WHERE what = 'forgotten' ORDER BY at, id"))?;
    let records = statement.query_map((), event)?.map(|record| {
        let record = record?;
        Ok(if let Event::Forgotten { learned, .. } = record.event {
            Some((record.at, learned))
        } else {
            None
        })
    });
    records.filter_map(Result::transpose).collect()
}
