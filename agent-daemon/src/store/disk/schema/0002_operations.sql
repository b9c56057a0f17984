-- Operations that began within one hour. `level`: 0 one by one (and what senders added up themselves), 1 added up by
-- the minute, 2 by the hour. `operations`: how many there were, however they are kept.
CREATE TABLE operation_block (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    level INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    operations INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX operation_block_by_time ON operation_block (last, first);
CREATE INDEX operation_block_by_age ON operation_block (level, hour);
