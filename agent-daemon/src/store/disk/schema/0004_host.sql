-- Windows of the host that begin within one hour. `level`: 0 as they were recorded, 1 a minute each, 2 the hour.
CREATE TABLE host_block (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    level INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    windows INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX host_block_by_time ON host_block (last, first);
CREATE INDEX host_block_by_age ON host_block (level, hour);
