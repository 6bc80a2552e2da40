package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// export prints the lines of an export, in as many answers as the server needs.
func (a *admin) export(cursor string, get func(cursor string) (*http.Response, error)) error {
	given := cursor
	for {
		before := cursor
		complete, err := a.exportPart(&cursor, get)
		switch {
		case err != nil && cursor == given:
			return err
		case err != nil:
			return fmt.Errorf("%w\nWhat was printed is whole; go on with --cursor %s", err, or(cursor, "''"))
		case complete:
			return nil
		case cursor == before:
			return fmt.Errorf("the server's answers do not go on: is it a Latchkey server?\nGo on with --cursor %s", or(cursor, "''"))
		}
	}
}

func (a *admin) exportPart(cursor *string, get func(cursor string) (*http.Response, error)) (complete bool, err error) {
	answer, err := get(*cursor)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	body, cut := io.ReadAll(answer.Body) // the client bounds it
	before := *cursor
	complete, err = a.print(body, cursor)
	if err == nil && *cursor == before {
		err = cut // and otherwise the next answer goes on where this one was cut off
	}
	return complete, err
}

// print prints the lines of one answer that came whole, and tells whether they were the last ones.
func (a *admin) print(body []byte, cursor *string) (complete bool, err error) {
	for len(body) > 0 {
		line, rest, whole := bytes.Cut(body, []byte("\n"))
		if !whole {
			return false, nil // it was cut off there
		}
		l, err := readLine(line)
		if err != nil || l.Cursor == "" {
			return false, errors.New("the server sent a line that cannot be read: is it a Latchkey server?")
		}
		*cursor = l.Cursor
		if l.Complete != nil {
			return *l.Complete, nil
		}
		if _, err := a.out.Write(append(bytes.Clone(line), '\n')); err != nil {
			return false, err
		}
		body = rest
	}
	return false, nil
}

// lineOfExport is what has to be known of a line. Only the last one tells whether it was all.
type lineOfExport struct {
	Cursor   string
	Complete *bool
}

func readLine(line []byte) (l lineOfExport, err error) {
	err = json.Unmarshal(line, &l)
	return l, err
}
