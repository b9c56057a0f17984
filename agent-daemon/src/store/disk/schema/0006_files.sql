-- No table changes. From here on the windows of agents tell of files, traffic and block I/O, and tool calls of what they did
-- to files, which an older agentperf could not read: it is to refuse the store, and not to leave them out.
SELECT 0;
