package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/latchkey/latchkey/transport/wire"
)

// FlashFile keeps the flashes of a whole fleet in one file of JSON lines, one line a change: ten thousand devices
// must not need ten thousand open files. Lines reach the operating system before the motor moves, so they survive
// the death of the process; they are not forced to disk, since it is the locks that are simulated, not their power.
type FlashFile struct {
	mu      sync.Mutex // guards what follows
	f       *os.File
	flashes map[string]*Flash
}

// flashLine is one change of one flash.
type flashLine struct {
	Lock    string         `json:"lock"`
	Command *commandRecord `json:"command,omitempty"`
	Event   *wire.Event    `json:"event,omitempty"`
	Acked   uint64         `json:"acked,omitempty"`

	Renumbered *uint64 `json:"renumbered,omitempty"` // the events that wait come after this one

	Key    *keyLine     `json:"key,omitempty"`
	Config *wire.Config `json:"config,omitempty"`
	Erased bool         `json:"erased,omitempty"` // everything before this line is gone
	Whole  bool         `json:"whole,omitempty"`  // nothing from before is asked about any more
}

// OpenFlashFile reads the flashes in the file at path, or starts with none. It writes the file anew, so that it does
// not grow from start to start.
func OpenFlashFile(path string) (*FlashFile, error) {
	ff := &FlashFile{flashes: make(map[string]*Flash)}
	if err := ff.load(path); err != nil {
		return nil, fmt.Errorf("sim: flash file %s: %w", path, err)
	}
	if err := ff.rewrite(path); err != nil {
		return nil, fmt.Errorf("sim: flash file: %w", err)
	}
	return ff, nil
}

// Flash returns the flash of the device with the UUID.
func (ff *FlashFile) Flash(uuid string) *Flash {
	ff.mu.Lock()
	defer ff.mu.Unlock()
	return ff.flash(uuid)
}

// Close closes the file. The devices must have stopped.
func (ff *FlashFile) Close() error { return ff.f.Close() }

func (ff *FlashFile) flash(uuid string) *Flash {
	f := ff.flashes[uuid]
	if f == nil {
		f = &Flash{uuid: uuid, file: ff}
		ff.flashes[uuid] = f
	}
	return f
}

// load applies all lines. A last line without its end was being written when the process died: it does not count.
func (ff *FlashFile) load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for offset := 0; ; {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var l flashLine
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("at byte %d: %w", offset, err)
		}
		ff.flash(l.Lock).replay(l)
		offset += len(text)
	}
}

// rewrite puts a file with what counts in the place of the one with all that happened, and leaves it open.
func (ff *FlashFile) rewrite(path string) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, flash := range ff.flashes {
		for _, l := range flash.lines() {
			err = errors.Join(err, enc.Encode(l))
		}
	}
	if err = errors.Join(err, w.Flush()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	ff.f = f
	return nil
}

// lines are the fewest that make the flash again.
func (f *Flash) lines() []flashLine {
	acked := f.seq
	if len(f.events) > 0 {
		acked = f.events[0].Seq - 1
	}
	lines := []flashLine{{Acked: acked, Whole: f.whole}}
	for _, id := range f.order {
		lines = append(lines, flashLine{Command: f.commands[id]})
	}
	for i := range f.keys {
		lines = append(lines, flashLine{Key: &keyLine{Key: f.keys[i]}})
	}
	if f.config.Config > 0 {
		lines = append(lines, flashLine{Config: &f.config})
	}
	for i := range f.events {
		lines = append(lines, flashLine{Event: &f.events[i]})
	}
	for i := range lines {
		lines[i].Lock = f.uuid
	}
	return lines
}

// replay does again what a line says was done.
func (f *Flash) replay(l flashLine) {
	if l.Erased {
		*f = Flash{uuid: f.uuid, file: f.file}
	}
	f.whole = f.whole || l.Whole
	if l.Command != nil {
		f.apply(*l.Command)
	}
	if l.Key != nil {
		f.applyKey(*l.Key)
	}
	if l.Config != nil {
		f.config = *l.Config
	}
	if l.Event != nil {
		f.seq = max(f.seq, l.Event.Seq)
		f.keepEvent(*l.Event)
	}
	if l.Renumbered != nil {
		f.renumber(*l.Renumbered)
	}
	if l.Acked > f.seq { // the first line of a flash; and in older files, that the events which follow are renumbered
		f.events, f.seq = nil, l.Acked
	}
	for len(f.events) > 0 && f.events[0].Seq <= l.Acked {
		f.events = f.events[1:]
	}
}

func (ff *FlashFile) append(l flashLine) error {
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	ff.mu.Lock()
	defer ff.mu.Unlock()
	if _, err := ff.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("sim: flash file: %w", err)
	}
	return nil
}
