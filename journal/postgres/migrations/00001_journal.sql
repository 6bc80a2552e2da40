-- Names compare byte by byte (COLLATE "C"): it is faster, no upgrade of the system's locales can break an index, and
-- entries are promised in this order.

-- +goose Up
-- The heads of the streams. They are updated again and again, in place as long as a page has room for it.
CREATE TABLE streams (
    version   bigint NOT NULL,
    name      text COLLATE "C" NOT NULL PRIMARY KEY,
    append_id text NOT NULL
) WITH (fillfactor = 80);

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

-- last_position makes its caller the only one who can commit records, until the caller's transaction ends, and returns
-- the position of the last record. It is volatile, so its query sees what was committed while it waited for the lock.
-- A counter would do as well, but for a row that every commit updates: the versions of it pile up, and slow everybody
-- down, for as long as any transaction of the server stays open (a dump, or a session that somebody forgot).
-- +goose StatementBegin
CREATE FUNCTION last_position() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1282696040, 1); -- "Ltch"
    RETURN coalesce((SELECT max(position) FROM records), 0);
END $$;
-- +goose StatementEnd

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
