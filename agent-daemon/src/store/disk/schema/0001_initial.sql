-- What every table shares: times are nanoseconds since the Unix epoch; a day is days since then, an hour hours since
-- then; unsigned 64-bit numbers keep their bits.

-- Facts of the whole store. `sealed_segment`: the newest segment of the head whose records are in these tables.
-- `swept_day`: names that were last needed before that day are gone.
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('sealed_segment', 0), ('swept_day', 0);

-- Stacks, their frames, and the frames' texts: each once. Numbers are never used again, since readers keep what they
-- stand for. No block with windows that begin after `last_day` refers to the row.
CREATE TABLE string (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    checksum INTEGER NOT NULL,
    last_day INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX string_by_checksum ON string (checksum);

CREATE TABLE frame (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    last_day INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    function INTEGER NOT NULL,
    file INTEGER,
    line INTEGER,
    path INTEGER,
    build_id INTEGER,
    address INTEGER NOT NULL
);
CREATE INDEX frame_by_place ON frame (function, address);

-- `frames`: the numbers of its frames as varints, innermost first.
CREATE TABLE stack (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    checksum INTEGER NOT NULL,
    last_day INTEGER NOT NULL,
    ending INTEGER NOT NULL,
    frames BLOB NOT NULL
);
CREATE INDEX stack_by_checksum ON stack (checksum);

CREATE TABLE agent (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    ended INTEGER,
    record BLOB NOT NULL
);

-- `ended` counts, whatever the record says: the end of a watch ends processes that were not seen to end.
CREATE TABLE process (
    agent INTEGER NOT NULL,
    id INTEGER NOT NULL,
    ended INTEGER,
    record BLOB NOT NULL,
    PRIMARY KEY (agent, id)
) WITHOUT ROWID;
CREATE INDEX process_by_end ON process (ended) WHERE ended IS NOT NULL;

-- Windows of one agent that begin within one hour. `level`: 0 as they were recorded, 1 a minute each, 2 the hour.
-- The sums are those of all rows, for answers that need no more.
CREATE TABLE block (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    agent INTEGER NOT NULL,
    level INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    windows INTEGER NOT NULL,
    cpu_ns INTEGER NOT NULL,
    cpu_samples INTEGER NOT NULL,
    blocked_ns INTEGER NOT NULL,
    run_queue_ns INTEGER NOT NULL,
    syscalls INTEGER NOT NULL,
    syscall_errors INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX block_by_agent ON block (agent, last, first);
CREATE INDEX block_by_age ON block (level, hour, agent);
