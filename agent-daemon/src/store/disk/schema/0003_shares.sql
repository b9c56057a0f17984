-- The sums of all blocks of an hour, without their bodies.
CREATE INDEX block_by_hour ON block (
    hour, agent, key, first, last, cpu_ns, cpu_samples, blocked_ns, run_queue_ns, syscalls, syscall_errors
);

-- What a block's sums are made of. A block from before this step has no row.
CREATE TABLE share (
    hour INTEGER NOT NULL,
    agent INTEGER NOT NULL,
    block INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (hour, agent, block)
) WITHOUT ROWID;
CREATE TRIGGER share_of_block AFTER DELETE ON block BEGIN
    DELETE FROM share WHERE hour = old.hour AND agent = old.agent AND block = old.key;
END;

-- The processes that live.
CREATE INDEX process_live ON process (agent, id) WHERE ended IS NULL;
