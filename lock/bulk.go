package lock

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// BulkAddKeys is a job in the lock's own stream: which keys it adds, and what became of each of them, is in the journal.
// It goes on a key at a time, by Ticks, so that a lock with a job still opens its door in between. After a crash the next
// activation finds the job where the journal has it. A key that was on its way to the device then is asked about first.

const (
	maxBulkKeys  = 1000 // of one job
	maxBulkJobs  = 4    // that have not ended
	bulkJobsKept = 4    // that have
	// bulkPause is between two keys. It keeps a lock with a job from doing nothing else.
	bulkPause = 2 * time.Millisecond
	// bulkPatience is how long a job waits without coming on, for a device that is away as a rule.
	bulkPatience = 24 * time.Hour
	maxBulkTries = 10 // of one key that the device could not take at that moment
)

// JobID names one BulkAddKeys.
type JobID string

// BulkStatus is what became of a key of a job.
type BulkStatus string

// The statuses of a key.
const (
	BulkPending BulkStatus = "pending"
	BulkAdded   BulkStatus = "added"
	BulkPresent BulkStatus = "present" // the list had it before
	BulkFailed  BulkStatus = "failed"
	BulkUnknown BulkStatus = "unknown" // it is in the list, and perhaps in the device
)

// bulkJob is one job, with the results of its first keys.
type bulkJob struct {
	ID JobID `json:"id"`
	origin
	At      time.Time    `json:"at"`
	LastAt  time.Time    `json:"lastAt"` // when it last came on
	Keys    []Key        `json:"keys"`
	Results []bulkResult `json:"results,omitempty"`
	Tries   int          `json:"tries,omitempty"` // of the key that is next
	Ended   bool         `json:"ended,omitempty"`
	Reason  string       `json:"reason,omitempty"` // why it ended before its last key
}

type bulkResult struct {
	Status BulkStatus `json:"status"`
	Reason string     `json:"reason,omitempty"`
}

func (s *State) bulkAddKeys(c *BulkAddKeys, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if !isToken(string(c.Job)) || len(c.Job) > maxJobID {
		return Decision{}, invalid("", "instance-id-invalid", "an instance ID must have 1 to 36 visible ASCII characters")
	}
	if j := s.job(c.Job); j != nil {
		return s.unchanged() // the same request, sent again
	}
	if len(c.Keys) == 0 || len(c.Keys) > maxBulkKeys {
		return Decision{}, invalid("keys", "keys-invalid", "keys must name 1 to 1000 keys")
	}
	keys := slices.Clone(c.Keys)
	for i := range keys {
		keys[i].OnDevice = ""
		if err := checkKey(keys[i], "keyUuid", "keyIndexNumber"); err != nil {
			return Decision{}, err.in("keys", i)
		}
		if err := twice(keys, i, "keyUuid", "keyIndexNumber"); err != nil {
			return Decision{}, err
		}
	}
	running := 0
	for _, j := range s.keys().Jobs {
		if !j.Ended {
			running++
		}
	}
	if running >= maxBulkJobs {
		return Decision{}, reject(Busy, "too-many-jobs", "The lock has four jobs to do already. Wait until one has ended.")
	}
	return s.done(&BulkAddStarted{Stamp: s.stampBy(c.By, now), Job: c.Job, Keys: keys})
}

// maxJobID leaves room for what makes a command's ID of it.
const maxJobID = 36

func (s *State) job(id JobID) *bulkJob {
	for _, j := range s.keys().Jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

// activeJob is the one that is worked on: the oldest.
func (s *State) activeJob() *bulkJob {
	for _, j := range s.keys().Jobs {
		if !j.Ended {
			return j
		}
	}
	return nil
}

// bulkDue is when the next Tick brings a job on.
func (s *State) bulkDue() (time.Time, bool) {
	j := s.activeJob()
	switch {
	case j == nil:
		return time.Time{}, false
	case s.bulkStuck(j):
		return j.LastAt.Add(bulkPatience), true
	default:
		return j.LastAt.Add(bulkPause), true
	}
}

// bulkStuck tells whether the job has to wait for something else than time.
func (s *State) bulkStuck(j *bulkJob) bool {
	if len(j.Results) == len(j.Keys) {
		return false
	}
	away := !s.Device.Connected && s.keys().Told
	return away || s.bulkOnTheWay(j) || s.onTheWay(j.Keys[len(j.Results)]) != nil || s.fullOfKeys()
}

func (s *State) fullOfKeys() bool {
	commands := s.keys().Commands
	return len(commands) >= maxKeyCommands && !slices.ContainsFunc(commands, func(c *KeyCommand) bool { return c.Outcome == Unknown })
}

// bulkOnTheWay tells whether the device has been told of a key of the job, and the end of that is not known.
func (s *State) bulkOnTheWay(j *bulkJob) bool {
	return slices.ContainsFunc(s.keys().Commands, func(c *KeyCommand) bool { return c.Job == j.ID })
}

// bulkStep brings the active job on by one key.
func (s *State) bulkStep(d *Decision, now time.Time) {
	j := s.activeJob()
	if due, ok := s.bulkDue(); !ok || now.Before(due) {
		return
	}
	stamp := s.stampOf(j.origin, now)
	switch {
	case len(j.Results) == len(j.Keys):
		d.Events = append(d.Events, &BulkAddEnded{Stamp: stamp, Job: j.ID})
		return
	case s.bulkStuck(j):
		d.Events = append(d.Events, &BulkAddEnded{Stamp: stamp, Job: j.ID, Reason: "device-offline"})
		return
	}
	key := j.Keys[len(j.Results)]
	settled := func(status BulkStatus, reason string) {
		d.Events = append(d.Events, &BulkKeySettled{Stamp: stamp, Job: j.ID, Key: key, Status: status, Reason: reason})
	}
	if _, ok := s.hasKey(key); ok {
		settled(BulkPresent, "")
		return
	}
	plan, err := s.plan()
	if err == nil {
		err = s.mayAdd(key)
	}
	var rejection *Error
	switch {
	case errors.As(err, &rejection):
		settled(BulkFailed, rejection.Reason)
	case plan == inListOnly:
		d.Events = append(d.Events, &KeyAdded{Stamp: stamp, Key: key, Job: j.ID})
	default:
		if s.makeRoomForKey(d, now) != nil {
			return
		}
		o := KeyOrder{
			// The version makes each try another command, and the same one in each replay.
			CommandID: CommandID(fmt.Sprintf("%s.%d", j.ID, s.Version)), Key: key, Job: j.ID,
			Deadline: deadline(now, keyLifetime), Session: s.Device.Session,
		}
		s.sendKey(d, &KeyChangeRequested{Stamp: stamp, Action: ActionAddKey, KeyOrder: o}, ActionAddKey, &o)
	}
}

// endJobs ends all jobs that have not ended.
func (s *State) endJobs(d *Decision, reason string, stamp Stamp) {
	for _, j := range s.keys().Jobs {
		if !j.Ended {
			d.Events = append(d.Events, &BulkAddEnded{Stamp: stamp, Job: j.ID, Reason: reason})
		}
	}
}

func (s *State) startJob(e *BulkAddStarted) {
	w := s.keyWork()
	w.Jobs = append(w.Jobs, &bulkJob{ID: e.Job, origin: originOf(e.Stamp), At: e.At, LastAt: e.At, Keys: slices.Clone(e.Keys)})
}

// settle notes what became of the next key of a job.
func (s *State) settle(id JobID, r bulkResult, at time.Time) {
	if j := s.job(id); id != "" && j != nil && len(j.Results) < len(j.Keys) {
		j.Results, j.LastAt, j.Tries = append(j.Results, r), at, 0
	}
}

// bulkResultOf tells what a KeyAdded says of the key of a job.
func bulkResultOf(e *KeyAdded) bulkResult {
	if e.Key.OnDevice == MaybeOnDevice {
		return bulkResult{Status: BulkUnknown, Reason: "no-answer"}
	}
	return bulkResult{Status: BulkAdded}
}

func (s *State) jobTold(id JobID, at time.Time) {
	if j := s.job(id); id != "" && j != nil {
		j.LastAt, j.Tries = at, j.Tries+1
	}
}

// jobFailed notes that the device has not taken a key. Some of the reasons are over when it is told again.
func (s *State) jobFailed(e *KeyChangeFailed) {
	j := s.job(e.Job)
	if e.Job == "" || j == nil {
		return
	}
	passing := e.Outcome == Expired || slices.Contains([]string{"stale-session", "stale-epoch", "boot-mismatch", "device-busy"}, e.Reason)
	if !passing || j.Tries >= maxBulkTries {
		s.settle(e.Job, bulkResult{Status: BulkFailed, Reason: e.Reason}, e.At)
	}
}

// endJob ends a job, and forgets the oldest one that has ended when there are too many.
func (s *State) endJob(e *BulkAddEnded) {
	j := s.job(e.Job)
	if j == nil {
		return
	}
	j.Ended, j.Reason, j.LastAt = true, e.Reason, e.At
	jobs := s.KeyWork.Jobs
	ended := 0
	for _, other := range jobs {
		if other.Ended {
			ended++
		}
	}
	if ended > bulkJobsKept {
		i := slices.IndexFunc(jobs, func(o *bulkJob) bool { return o.Ended })
		s.KeyWork.Jobs = slices.Delete(jobs, i, i+1)
	}
}

func (s *State) getBulkAddKeys(c *GetBulkAddKeys) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	j := s.job(c.Job)
	if j == nil {
		return Decision{}, reject(NotFound, "instance-not-found", "The lock has no such job, or it ended before the last four that have.")
	}
	p := &BulkProgress{ID: j.ID, StartedAt: j.At, ChangedAt: j.LastAt, Ended: j.Ended, Keys: make([]BulkKey, len(j.Keys))}
	p.Waiting = !j.Ended && (s.bulkStuck(j) || j != s.activeJob())
	for i, k := range j.Keys {
		p.Keys[i] = BulkKey{Key: k, Status: BulkPending}
		switch {
		case i < len(j.Results):
			p.Keys[i].Status, p.Keys[i].Reason = j.Results[i].Status, j.Results[i].Reason
		case j.Ended:
			p.Keys[i].Status, p.Keys[i].Reason = BulkFailed, j.Reason
		}
	}
	return Decision{Reply: p}, nil
}
