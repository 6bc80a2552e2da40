package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/journal"
)

// lookEvery is how long records may go into files that are not in the folder any more.
const lookEvery = time.Second

// openFiles are those that hold the records, as they were in their folder when this process had opened them.
type openFiles map[string]os.FileInfo

func filesAt(path string) (openFiles, error) {
	path, err := filepath.EvalSymlinks(path) // the WAL is beside the file, and not beside a link to it
	if err != nil {
		return nil, err
	}
	files := make(openFiles)
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		files[name] = info
	}
	return files, nil
}

// there tells whether the same files are still in their places. SQLite does not notice: it writes on into a file that nobody finds
// any more, and that is gone with the process. What cannot be looked at, as on a disk that fails, is for the next commit to find.
func (f openFiles) there() error {
	for name, opened := range f {
		now, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
			return fmt.Errorf("%s was removed under the running server", name)
		case err == nil && !os.SameFile(opened, now):
			return fmt.Errorf("%s was replaced by another file under the running server", name)
		}
	}
	return nil
}

// look fails the journal when its files are not there any more.
func (j *Journal) look() error {
	err := j.files.there()
	switch {
	case err == nil:
		return nil
	case j.queue.Closed(): // who closes it takes the WAL away
		return journal.ErrClosed
	}
	return j.fail(err)
}

// lookAfterFiles is a goroutine that ends with the writer's, before the files are closed.
func (j *Journal) lookAfterFiles() {
	defer close(j.looked)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if j.look() != nil {
				return
			}
		case <-j.writer.stopped:
			return
		}
	}
}
