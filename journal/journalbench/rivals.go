package main

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver of CRUD

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
	"github.com/latchkey/latchkey/journal/internal/diskfault"
)

// bareLog is W: the journal's own group commit in front of a file that is written from one end to the other.
type bareLog struct {
	file  *os.File
	queue *batch.Queue
}

func openBareLog(path string) (*bareLog, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	l := &bareLog{file: file, queue: batch.New()}
	go l.write()
	return l, nil
}

func (l *bareLog) Submit(a journal.Append, done func(journal.Result)) { l.queue.Submit(a, done) }

func (l *bareLog) Close() error {
	l.queue.Close()
	l.queue.Wait()
	return l.file.Close()
}

func (l *bareLog) write() {
	var frame bytes.Buffer
	for {
		items, ok := l.queue.Take(nil)
		if !ok {
			return
		}
		frame.Reset()
		for i := range items {
			encode(&frame, &items[i].Append)
		}
		_, err := l.file.Write(frame.Bytes())
		if err == nil {
			err = diskfault.Sync(l.file)
		}
		for i := range items {
			items[i].Result.Err = err
		}
		l.queue.Answer(items)
	}
}

func encode(frame *bytes.Buffer, a *journal.Append) {
	var number [8]byte
	text := func(s string) {
		frame.Write(binary.BigEndian.AppendUint32(number[:0], uint32(len(s))))
		frame.WriteString(s)
	}
	text(a.Stream)
	text(a.ID)
	frame.Write(binary.BigEndian.AppendUint64(number[:0], a.Expected))
	for i := range a.Records {
		text(a.Records[i].Type)
		frame.Write(binary.BigEndian.AppendUint64(number[:0], uint64(a.Records[i].Time.UnixMilli())))
		frame.Write(binary.BigEndian.AppendUint32(number[:0], uint32(len(a.Records[i].Data))))
		frame.Write(a.Records[i].Data)
	}
}

// crud is what one would build without actors: the count of uses is a column.
type crud struct {
	db  *sql.DB
	use *sql.Stmt
}

const tempKey = "5f0c6c39-5b5f-4e9b-9d1b-0c7f6f0f6d11"

func openCRUD(path string, pool int) (*crud, error) {
	uri := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(30000)"},
	}.Encode()}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(pool)
	db.SetMaxIdleConns(pool)
	for _, query := range []string{
		"CREATE TABLE temp_keys (uuid TEXT PRIMARY KEY, max_uses INTEGER, used_count INTEGER NOT NULL) WITHOUT ROWID",
		fmt.Sprintf("INSERT INTO temp_keys VALUES ('%s', NULL, 0)", tempKey),
	} {
		if _, err := db.ExecContext(background, query); err != nil {
			return nil, err
		}
	}
	use, err := db.PrepareContext(background, `UPDATE temp_keys SET used_count = used_count + 1
		WHERE uuid = ? AND (max_uses IS NULL OR used_count < max_uses) RETURNING used_count`)
	return &crud{db, use}, err
}

func (c *crud) one(int) error {
	var used int
	return c.use.QueryRowContext(background, tempKey).Scan(&used)
}
