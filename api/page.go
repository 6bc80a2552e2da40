package api

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey/latchkey/lock"
)

// limitOf reads how many items a page may have; without a limit it is otherwise.
func limitOf(text string, most, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > most {
		return 0, badRequest("limit-invalid", "limit", fmt.Sprintf("limit must be a whole number from 1 to %d", most))
	}
	return limit, nil
}

// lockFilter reads the lock that a list over several locks is bounded to; 0 is none.
func lockFilter(text string) (lock.ID, error) {
	if text == "" {
		return 0, nil
	}
	id, err := lock.ParseID(text)
	return id, renamed(err, "id", "lockId")
}

// cursorTo is the cursor of the page after an item, and afterCursor gives the item; the empty one is before the first.
func cursorTo(item string) string { return base64.RawURLEncoding.EncodeToString([]byte(item)) }

func afterCursor(cursor string) (item string, err error) {
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || !plain(string(data)) {
		return "", badRequest("cursor-invalid", "cursor", "cursor must be the nextCursor of another page")
	}
	return string(data), nil
}

// plain tells whether there is nothing in a text that a store may not take for one. No name of ours has such things.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
