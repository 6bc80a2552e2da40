-- The tables stay as they are. Programs that know two steps drop the fields of records which they do not know, and write
-- snapshots without them: they must not start here any more, and nobody takes their snapshots. Those that run while this one
-- starts go on, and may write such snapshots until they are stopped.
--
-- Each release that adds to what is in the records has a step, if only a comment, for the same reason.

-- +goose Up
DELETE FROM snapshots WHERE codec = 'lock-state-1';
