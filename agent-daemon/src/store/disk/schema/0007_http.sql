-- No table changes. From here on the windows of agents tell of exchanges over HTTP, which an older agentperf could not read: it
-- is to refuse the store, and not to leave them out.
SELECT 0;
