-- Names compare byte by byte (COLLATE "C"): it is faster, no upgrade of the system's locales can break an index, and
-- entries are promised in this order.

-- +goose Up
-- The heads of the streams. They are updated again and again, in place as long as a page has room for it.
CREATE TABLE streams (
    version   bigint NOT NULL,
    name      text COLLATE "C" NOT NULL PRIMARY KEY,
    append_id text NOT NULL
) WITH (fillfactor = 80);

-- The counter of positions has one row. Whoever has it locked is the only one who can commit records.
CREATE TABLE counter (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO counter (position) VALUES (0);

CREATE TABLE records (
    position  bigint NOT NULL PRIMARY KEY,
    version   bigint NOT NULL,
    time      timestamptz NOT NULL,
    stream    text COLLATE "C" NOT NULL,
    type      text NOT NULL,
    append_id text NOT NULL,
    data      bytea NOT NULL,
    UNIQUE (stream, version)
);

CREATE TABLE claims (
    kind   text COLLATE "C" NOT NULL,
    key    text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, key)
);

CREATE TABLE entries (
    kind   text COLLATE "C" NOT NULL,
    key    text COLLATE "C" NOT NULL,
    ref    text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, key, ref)
);

CREATE TABLE snapshots (
    stream  text COLLATE "C" NOT NULL PRIMARY KEY,
    version bigint NOT NULL,
    codec   text NOT NULL,
    data    bytea NOT NULL
);

-- For people who look at the journal with psql.
CREATE VIEW log AS
    SELECT position, stream, version, type, time, append_id, convert_from(data, 'UTF8') AS data FROM records;
