package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/lock"
)

// Lists of keys are long, so they are written by hand, at about a quarter of the cost of encoding/json. They have the fields
// of TempKeyList in the same order; a test compares the two.

const (
	usualTempKey = 512 // bytes
	// Of a list that is larger than this so much is in memory at a time, however slowly it is read.
	maxListPart = maxPooledBuffer / 2
)

// writeTempKeys writes keys of some locks. The page of a key is at base and its UUID. It calls full when the buffer should be
// emptied.
func writeTempKeys(b *bytes.Buffer, lists []*lock.TempKeyList, base, nextCursor string, full func() error) error {
	n := 0
	for _, list := range lists {
		n += len(list.TempKeys)
	}
	b.Grow(min(n*usualTempKey, maxListPart))
	link := bytes.TrimSuffix(appendText(nil, base), []byte(`"`))
	b.WriteByte('{')
	if nextCursor != "" {
		b.Write(append(appendText(append(b.AvailableBuffer(), `"nextCursor":`...), nextCursor), ','))
	}
	b.WriteString(`"tempKeys":[`)
	first := true
	for _, list := range lists {
		for i := range list.TempKeys {
			if !first {
				b.WriteByte(',')
			}
			first = false
			b.Write(appendTempKey(b.AvailableBuffer(), list, &list.TempKeys[i], link))
			if b.Len() < maxListPart {
				continue
			}
			if err := full(); err != nil {
				return err
			}
		}
	}
	b.WriteString("]}\n")
	return nil
}

func appendTempKey(b []byte, list *lock.TempKeyList, k *lock.TempKeyView, link []byte) []byte {
	b = append(b, '{')
	if k.Door != nil {
		b = append(appendText(append(b, `"accessMethod":`...), string(collective.AccessOf(k.Door))), ',')
	}
	b = appendText(append(b, `"accessMode":`...), string(k.AccessMode))
	b = append(b, `,"allowedUserIds":[`...)
	for i, user := range k.AllowedUserIDs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, string(user))
	}
	b = append(b, ']')
	if k.Door != nil && k.Door.Key != "" {
		b = appendText(append(b, `,"collectiveKeyUuid":`...), string(k.Door.Key))
	}
	b = appendInstant(append(b, `,"createdAt":`...), k.CreatedAt)
	b = appendText(append(b, `,"createdBy":`...), k.CreatedBy)
	if k.Description != "" {
		b = appendText(append(b, `,"description":`...), k.Description)
	}
	if k.GraceAfterSeconds != 0 {
		b = strconv.AppendInt(append(b, `,"graceAfterSeconds":`...), k.GraceAfterSeconds, 10)
	}
	if k.GraceBeforeSeconds != 0 {
		b = strconv.AppendInt(append(b, `,"graceBeforeSeconds":`...), k.GraceBeforeSeconds, 10)
	}
	b = strconv.AppendInt(append(b, `,"lockId":`...), int64(list.ID), 10)
	b = appendText(append(b, `,"lockUuid":`...), string(list.UUID))
	if b = append(b, `,"maxUses":`...); k.MaxUses != nil {
		b = strconv.AppendInt(b, *k.MaxUses, 10)
	} else {
		b = append(b, "null"...)
	}
	if w := k.NextWindow; w != nil {
		b = appendInstant(append(b, `,"nextWindow":{"from":`...), w.From)
		if w.Until != nil {
			b = appendInstant(append(b, `,"until":`...), *w.Until)
		}
		b = append(b, '}')
	}
	if k.OpenUntil != nil {
		b = appendInstant(append(b, `,"openUntil":`...), *k.OpenUntil)
	}
	if k.Schedule != nil {
		schedule, _ := json.Marshal(k.Schedule) // nothing in a schedule has a way to fail
		b = append(append(b, `,"schedule":`...), schedule...)
	}
	b = appendText(append(b, `,"status":`...), string(k.Status))
	b = append(append(append(append(b, `,"url":`...), link...), k.UUID...), '"')
	b = strconv.AppendInt(append(b, `,"usedCount":`...), k.UsedCount, 10)
	b = appendText(append(b, `,"uuid":`...), string(k.UUID))
	b = appendInstant(append(b, `,"validFrom":`...), k.ValidFrom)
	b = appendInstant(append(b, `,"validUntil":`...), k.ValidUntil)
	return append(b, '}')
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return appendAnyText(b, text)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

func appendAnyText(b []byte, text string) []byte {
	var w bytes.Buffer
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string can be encoded
	return append(b, bytes.TrimSuffix(w.Bytes(), []byte("\n"))...)
}

// appendInstant appends what lock.Instant makes, quoted. Go has a fast path for the layout without milliseconds.
func appendInstant(b []byte, t time.Time) []byte {
	b = t.UTC().AppendFormat(append(b, '"'), time.RFC3339)
	b[len(b)-1] = '.' // in place of the Z
	ms := t.Nanosecond() / int(time.Millisecond)
	return append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z', '"')
}
