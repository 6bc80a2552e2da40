package lock

import (
	"cmp"
	"slices"
	"time"
)

// ListTempKeys asks for the temporary keys of a lock. Reply: *TempKeyList.
type ListTempKeys struct {
	By    Caller
	Only  TempKeyFilter
	After TempKeyPlace
	Limit int // the most that are told; 0: all
}

func (*ListTempKeys) isCommand() {}

// TempKeyFilter says which keys are meant; what is empty does not matter.
type TempKeyFilter struct {
	Status     Status
	AccessMode AccessMode
	CreatedBy  string
	UUIDs      []TempKeyID
}

// TempKeyPlace is the place of a key in the order of lists: by its creation, and by its UUID among those of one millisecond. A
// key keeps its place for ever, so that a list can be read page by page while keys come and go. The zero place is before all.
type TempKeyPlace struct {
	CreatedAt time.Time
	UUID      TempKeyID
}

func (k *TempKey) place() TempKeyPlace { return TempKeyPlace{k.CreatedAt, k.UUID} }

func (p TempKeyPlace) compare(o TempKeyPlace) int {
	return cmp.Or(p.CreatedAt.Compare(o.CreatedAt), cmp.Compare(p.UUID, o.UUID))
}

func (f *TempKeyFilter) admits(v *TempKeyView) bool {
	return (f.Status == "" || f.Status == v.Status) && (f.AccessMode == "" || f.AccessMode == v.AccessMode) &&
		(f.CreatedBy == "" || f.CreatedBy == v.CreatedBy)
}

func (s *State) listTempKeys(c *ListTempKeys, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	keys := s.inOrder(c)
	list := &TempKeyList{ID: s.ID, UUID: s.UUID, TempKeys: make([]TempKeyView, 0, len(keys))}
	for _, k := range keys {
		v := k.view(now)
		v.Door = k.Door.shownTo(c.By)
		if !c.Only.admits(&v) {
			continue
		}
		if c.Limit > 0 && len(list.TempKeys) == c.Limit {
			list.More = true
			break
		}
		list.TempKeys = append(list.TempKeys, v)
	}
	return Decision{Reply: list}, nil
}

// inOrder gives the keys that may be meant, in the order of lists.
func (s *State) inOrder(c *ListTempKeys) []*TempKey {
	keys := s.TempKeys.list
	if c.Only.UUIDs != nil {
		keys = nil
		for _, id := range c.Only.UUIDs {
			if k := s.TempKeys.find(id); k != nil {
				keys = append(keys, k)
			}
		}
	}
	keys = slices.DeleteFunc(slices.Clone(keys), func(k *TempKey) bool { return k.place().compare(c.After) <= 0 })
	slices.SortFunc(keys, func(a, b *TempKey) int { return a.place().compare(b.place()) })
	return keys
}
