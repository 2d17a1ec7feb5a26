CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started INTEGER NOT NULL,
    ended INTEGER,
    version TEXT NOT NULL
) STRICT;

CREATE TABLE actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER REFERENCES runs (id),
    session TEXT NOT NULL,
    tick INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    target TEXT,
    proposal TEXT NOT NULL,
    findings TEXT NOT NULL,
    before TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    judged_by TEXT NOT NULL,
    undoes INTEGER,
    outcome TEXT NOT NULL,
    note TEXT,
    after TEXT,
    settled_at INTEGER
) STRICT;
CREATE INDEX actions_by_session ON actions (session, id);
CREATE INDEX actions_that_undo ON actions (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX actions_that_are_open ON actions (id) WHERE settled_at IS NULL;

CREATE TABLE ticks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER REFERENCES runs (id),
    session TEXT NOT NULL,
    tick INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    at INTEGER NOT NULL,
    ending TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX ticks_by_session ON ticks (session, id);
PRAGMA user_version = 1;
