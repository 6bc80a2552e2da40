// Package zone is the time zones of schedules: the IANA database as it was when this version of Latchkey was built.
//
// The standard library would look into the files of the system first. Then two nodes with different systems could disagree
// about whether a door may open, and a kernel that decides would read files. So the database is part of the program: all
// nodes of one version agree, and a newer database comes with a newer version (docs/adr/0016).
package zone

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// The database comes from the Go toolchain, whose time package can read it. It is in the public domain.
//
//go:generate cp $GOROOT/lib/time/zoneinfo.zip zoneinfo.zip

//go:embed zoneinfo.zip
var database []byte

// maxName keeps whoever sends long names from having them looked up; the longest of the database has 32 bytes.
const maxName = 64

// index finds the file of a zone by its name, which is exact to the letter.
var index = sync.OnceValue(func() map[string]*zip.File {
	r, err := zip.NewReader(bytes.NewReader(database), int64(len(database)))
	if err != nil {
		panic(fmt.Sprintf("zone: the database cannot be read: %v", err)) // it is part of the program
	}
	files := make(map[string]*zip.File, len(r.File))
	for _, f := range r.File {
		files[f.Name] = f
	}
	return files
})

// loaded has the zones that were asked for: a *time.Location for each name. The database bounds it.
var loaded sync.Map

// Load returns a zone by its IANA name, such as Europe/Berlin. ok is false for a name that the database does not have; the
// names that the time package has besides, Local and the empty one, are none.
func Load(name string) (l *time.Location, ok bool) {
	if l, ok := loaded.Load(name); ok {
		return l.(*time.Location), true
	}
	if len(name) > maxName {
		return nil, false
	}
	f := index()[name]
	if f == nil {
		return nil, false
	}
	l, err := read(f)
	if err != nil {
		panic(fmt.Sprintf("zone: %s: %v", name, err))
	}
	kept, _ := loaded.LoadOrStore(name, l)
	return kept.(*time.Location), true
}

// Like finds the name that differs from a wrong one in letter case only; it is empty when there is none.
func Like(name string) string {
	if len(name) > maxName {
		return ""
	}
	for known := range index() {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return ""
}

func read(f *zip.File) (*time.Location, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(f.Name, data)
}
