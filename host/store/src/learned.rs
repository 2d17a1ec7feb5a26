//! What came of actions so far.

use flyball_model::Learned;
use rusqlite::{Connection, Row};

use crate::rows::{from_word, uint};

/// An action counts once for each code among its findings.
const LEARNED: &str = "
    SELECT finding, kind, node_type,
        sum(outcome = 'verified') AS verified, sum(outcome = 'ineffective') AS ineffective,
        sum(outcome = 'worse') AS worse, sum(outcome = 'unknown') AS unknown, sum(outcome = 'failed') AS failed,
        sum(outcome = 'rolled-back') AS rolled_back, max(at) AS newest
    FROM (
        SELECT DISTINCT actions.id, finding.value ->> '$.code' AS finding, kind, outcome, at,
            (SELECT node.value ->> '$.node_type' FROM json_each(actions.before, '$.nodes') AS node
             WHERE node.value ->> '$.id' = actions.target) AS node_type
        FROM actions, json_each(actions.findings) AS finding
        WHERE settled_at IS NOT NULL AND undoes IS NULL
            AND outcome IN ('verified', 'ineffective', 'worse', 'unknown', 'failed', 'rolled-back')
    )
    GROUP BY finding, kind, node_type
    ORDER BY finding, kind, node_type";

pub(crate) fn learned(db: &Connection) -> rusqlite::Result<Vec<Learned>> {
    db.prepare_cached(LEARNED)?.query_map((), row)?.collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<Learned> {
    Ok(Learned {
        finding: row.get("finding")?,
        kind: from_word(row, "kind")?,
        node_type: row.get("node_type")?,
        verified: uint(row, "verified")?,
        ineffective: uint(row, "ineffective")?,
        worse: uint(row, "worse")?,
        unknown: uint(row, "unknown")?,
        failed: uint(row, "failed")?,
        rolled_back: uint(row, "rolled_back")?,
        newest: uint(row, "newest")?,
    })
}
