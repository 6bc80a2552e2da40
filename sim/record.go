package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// movementsKept bounds what a Recorder holds in memory.
const movementsKept = 1 << 20

// Movement is one time that a motor moved. It is written down by the motor, not by the part of the firmware
// that talks to the server, so it can testify against both.
type Movement struct {
	Time         time.Time `json:"time"`
	LockID       int64     `json:"lockId"`
	LockUUID     string    `json:"lockUuid"`
	CommandID    string    `json:"commandId"`
	Session      string    `json:"session"`
	BootID       string    `json:"bootId"`
	Epoch        uint64    `json:"epoch"`
	Mono         int64     `json:"mono"`         // the device's clock when the motor started
	NotAfterMono int64     `json:"notAfterMono"` // the frame's deadline on that clock
	// MarginMs is how much earlier than its deadline the motor started; negative: too late.
	MarginMs         int64 `json:"marginMs"`
	DeadlineEnforced bool  `json:"deadlineEnforced"`
}

// Recorder keeps the movements of a fleet's motors, in order. It is safe for concurrent use.
type Recorder struct {
	mu    sync.Mutex
	w     io.Writer
	keep  int
	list  []Movement
	total int
	err   error
}

// NewRecorder makes a recorder that holds up to a million movements for Movements.
// When w is not nil each movement is also written to it at once, as one line of JSON.
func NewRecorder(w io.Writer) *Recorder { return &Recorder{w: w, keep: movementsKept} }

// NewFileRecorder makes a recorder that only writes to w and holds nothing, for runs without an end.
func NewFileRecorder(w io.Writer) *Recorder { return &Recorder{w: w} }

func (r *Recorder) add(m Movement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if len(r.list) < r.keep {
		r.list = append(r.list, m)
	}
	if r.w == nil || r.err != nil {
		return
	}
	line, err := json.Marshal(m)
	if err == nil {
		_, err = r.w.Write(append(line, '\n'))
	}
	if err != nil {
		r.err = fmt.Errorf("sim: record of movements: %w", err)
	}
}

// Movements returns a copy of the movements so far, oldest first.
func (r *Recorder) Movements() []Movement {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Movement(nil), r.list...)
}

// Total counts all movements, also those that were too many to keep.
func (r *Recorder) Total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// Err tells whether the record is incomplete because writing it failed.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
