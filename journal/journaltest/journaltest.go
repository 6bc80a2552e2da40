// Package journaltest is the suite that every engine of the journal passes. It says in code what the contract says in
// words; what only one engine promises (its files, its locks, its faults) is tested beside that engine.
package journaltest

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

// patience is how long a test waits for an answer before it says that there is none.
const patience = 30 * time.Second

// Open makes an empty journal, and a function that opens it again after it was closed. The suite closes what it opened.
type Open func(t *testing.T) (j journal.Journal, reopen func() journal.Journal)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*suite){
		"an append is there with all its fields":              (*suite).fields,
		"versions and positions are gapless":                  (*suite).gapless,
		"a wrong expected version is a conflict of its own":   (*suite).conflict,
		"a conflict fails the stream's staged suffix only":    (*suite).conflictInBatch,
		"staged versions ride in one batch, in order":         (*suite).pipelining,
		"of racing appends to one version one wins":           (*suite).raceForOneVersion,
		"a claim has one holder":                              (*suite).claims,
		"a refused claim undoes the whole append":             (*suite).claimIsAtomic,
		"a refused claim undoes its append alone":             (*suite).claimBesideOthers,
		"claims race inside a batch":                          (*suite).claimRace,
		"a new claim is new to its own stream too":            (*suite).newClaim,
		"a new claim is refused alone":                        (*suite).newClaimBesideOthers,
		"a stale stream hears of a conflict before its claim": (*suite).newClaimOfTheStale,
		"entries come in order, in pages":                     (*suite).entries,
		"a conflict changes no index":                         (*suite).conflictKeepsIndex,
		"an append past its deadline does not happen":         (*suite).deadline,
		"an invalid append is refused alone":                  (*suite).invalid,
		"a huge record is kept":                               (*suite).huge,
		"a missing stream is empty, not an error":             (*suite).missing,
		"a head is confirmed where it is, and nowhere else":   (*suite).confirm,
		"reads come in pages":                                 (*suite).pages,
		"large records make a page short":                     (*suite).largePages,
		"a long stream is read from anywhere":                 (*suite).longStream,
		"the newest snapshot is kept":                         (*suite).snapshots,
		"the rows of the whole journal come in pages":         (*suite).whole,
		"what was answered is there after a restart":          (*suite).restart,
		"a reader of all positions misses nothing":            (*suite).readAllRace,
		"a reader of a stream sees all that was answered":     (*suite).readRace,
		"racing writers of many streams leave no gap":         (*suite).racingWriters,
		"answers come once each, in the order of the stream":  (*suite).answers,
		"close answers everything that was submitted":         (*suite).closeInFlight,
		"a closed journal says so":                            (*suite).closed,
		"a canceled context ends a read and an append's wait": (*suite).canceled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, reopen := open(t)
			s := &suite{T: t, Journal: j, reopen: reopen}
			t.Cleanup(func() { _ = s.Close() }) // a test may have closed it
			test(s)
		})
	}
}

type suite struct {
	*testing.T
	journal.Journal
	reopen func() journal.Journal
}

// restarted closes the journal and opens it again.
func (s *suite) restarted() {
	require.NoError(s, s.Close())
	s.Journal = s.reopen()
}

// ctx is the test's context with the suite's patience.
func (s *suite) ctx() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	s.Cleanup(cancel)
	return ctx
}

// event is an append of n records that tell where they belong.
func event(stream string, expected uint64, n int) journal.Append {
	a := journal.Append{Stream: stream, Expected: expected, ID: fmt.Sprintf("%s@%d", stream, expected)}
	for i := range uint64(n) {
		a.Records = append(a.Records, journal.NewRecord{
			Type: "Happened",
			Time: time.UnixMilli(1_777_777_777_123),
			Data: []byte(stream + "#" + strconv.FormatUint(expected+i+1, 10)),
		})
	}
	return a
}

// add appends and expects that it works.
func (s *suite) add(a journal.Append) journal.Result {
	s.Helper()
	r, err := journal.Do(s.ctx(), s.Journal, a)
	require.NoError(s, err)
	require.Equal(s, a.Expected+uint64(len(a.Records)), r.Version)
	return r
}

// refuse appends and expects that it does not work.
func (s *suite) refuse(a journal.Append) error {
	s.Helper()
	r, err := journal.Do(s.ctx(), s.Journal, a)
	require.Error(s, err)
	require.Zero(s, r.Version)
	require.Zero(s, r.Position)
	return err
}

// answer is what became of one append of submit.
type answer struct {
	of int // which of the appends
	journal.Result
}

// submit hands over all appends at once, and returns the answers in the order in which they came.
func (s *suite) submit(appends ...journal.Append) []answer {
	s.Helper()
	came := make(chan answer, len(appends)+1) // room for one too many
	for i, a := range appends {
		s.Submit(a, func(r journal.Result) { came <- answer{i, r} })
	}
	var answers []answer
	for late := s.ctx().Done(); len(answers) < len(appends); {
		select {
		case a := <-came:
			answers = append(answers, a)
		case <-late:
			s.Fatalf("%d of %d answers came", len(answers), len(appends))
		}
	}
	require.Empty(s, came)
	return answers
}

// all reads the whole journal and checks that it has no gap: positions from 1, versions from 1 in every stream.
func (s *suite) all() []journal.Record {
	s.Helper()
	return Whole(s, s.Journal)
}

// Whole reads a whole journal and checks that neither positions nor versions have a gap.
func Whole(t testing.TB, j journal.Journal) []journal.Record {
	t.Helper()
	var all []journal.Record
	versions := map[string]uint64{}
	for {
		page, err := j.ReadAll(t.Context(), uint64(len(all)), 1000)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			all = append(all, r)
			versions[r.Stream]++
			if r.Position != uint64(len(all)) || r.Version != versions[r.Stream] {
				t.Fatalf("want position %d, %s at %d: got %+v", len(all), r.Stream, versions[r.Stream], r)
			}
		}
	}
	for stream, version := range versions {
		head, _, err := j.Head(t.Context(), stream)
		require.NoError(t, err)
		require.Equal(t, version, head, "head of %s", stream)
	}
	return all
}
