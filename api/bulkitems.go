package api

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/latchkey/latchkey/lock"
)

// bulkItems are the items of a bulk call as its body has them.
type bulkItems[T any] []bulkItem[T]

// bulkItem is one of them. One that cannot be read is refused by itself, like one that a lock refuses.
type bulkItem[T any] struct {
	value  T
	lockID int64 // of one that cannot be read, if that can
	err    error // why it cannot be read
}

func (b *bulkItems[T]) readItems(d decoder, p *path) error {
	for i := 0; d.more(); i++ {
		if i == lock.MaxTempKeysAtOnce {
			return errBulkSize // before anybody makes errors for half a million
		}
		*b = append(*b, bulkItem[T]{})
		item, at, from := &(*b)[i], &path{in: p, index: i}, d.rest
		if err := d.value(reflect.ValueOf(&item.value).Elem(), at); err != nil {
			d.rest = from
			item.refuse(err, at, d.pass())
		}
	}
	d.next()
	return nil
}

func (item *bulkItem[T]) refuse(err error, at *path, text []byte) {
	var of struct{ LockID int64 }
	_ = json.Unmarshal(text, &of) // what else is wrong in it is no matter
	item.lockID, item.err = of.LockID, inKey(err, at)
}

// inKey says of an error in an item which field of the key it is about, as a lock would say it.
func inKey(err error, item *path) error {
	var p *problem
	if !errors.As(err, &p) {
		return err
	}
	of := *p
	of.field = strings.TrimPrefix(strings.TrimPrefix(p.field, item.String()), ".")
	for _, key := range []string{"tempKey.", "changes."} {
		of.field = strings.TrimPrefix(of.field, key)
	}
	return &of
}
