-- Servers that share an etcd must share the journal as well. They compare its ID, which is in one row here, so that it goes
-- where the records go: into a dump, to a standby, to the next server.

-- +goose Up
CREATE TABLE journal (id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid());
INSERT INTO journal DEFAULT VALUES;
