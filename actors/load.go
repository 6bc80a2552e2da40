package actors

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// A snapshot is due when it saves the replay of at least minUnsaved records, of as many as there are keys in it, and of
// snapshotRatio times its own bytes: so its cost per record stays the same however large the state grows.
const (
	minUnsaved    = 500 // they are replayed in about 3 ms
	snapshotRatio = 2
	worthSaving   = 16 // records, when the grain stops
)

// image is a state as the journal has it.
type image struct {
	state   *lock.State
	unsaved int  // records after the snapshot
	growth  int  // their bytes
	saved   int  // bytes of the snapshot
	durable bool // the append in doubt is in the journal
	err     error
}

// load reads the state from the journal, on a goroutine of its own; takeOver is called when it is there.
func (g *grain) load(ctx actor.Context) {
	g.phase = loading
	stream, doubt := g.stream(), g.doubt()
	if !g.background(func() {
		g.loaded.Store(g.read(g.shell.ctx, stream, doubt))
		g.system.Root.Send(g.pid, wake{})
	}) {
		g.quit(ctx)
	}
}

// doubt is an append whose outcome is to be found out.
type doubt struct {
	id       string
	expected uint64
	records  []journal.NewRecord
}

// doubt is about the commands whose append's outcome is unknown; nil when there are none.
func (g *grain) doubt() *doubt {
	if len(g.unknown) == 0 {
		return nil
	}
	d := &doubt{id: g.appendID(&g.unknown[firstStored(g.unknown)], g.expected), expected: g.expected}
	for i := range g.unknown {
		d.records = append(d.records, g.unknown[i].records...)
	}
	return d
}

// stored tells whether the records after the version expected are the append's. Its ID alone proves nothing: another activation may have
// stored an answer of its own to the same request.
func (s *shell) stored(ctx context.Context, stream string, d *doubt) (bool, error) {
	found := 0
	for r, err := range journal.All(ctx, s.Journal, stream, d.expected) {
		if err != nil {
			return false, err
		}
		if own := d.records[found]; r.AppendID != d.id || r.Type != own.Type || !bytes.Equal(r.Data, own.Data) {
			return false, nil
		}
		if found++; found == len(d.records) {
			return true, nil
		}
	}
	return false, nil
}

// reload drops what was staged and loads again what is durable.
func (g *grain) reload(ctx actor.Context) {
	g.metrics.reloads.Inc()
	g.load(ctx)
}

// takeOver goes on with the state that was loaded.
func (g *grain) takeOver(ctx actor.Context) {
	img := g.loaded.Swap(nil)
	if g.phase == stopping {
		return
	}
	if img.err != nil {
		g.notLoaded(g.stream(), img.err)
		for _, c := range g.stash {
			g.sendBack(c, unloaded(c))
		}
		g.metrics.stashed.Sub(float64(len(g.stash)))
		g.stash = nil
		g.quit(ctx)
		return
	}
	before := g.state
	if g.state == nil {
		g.since = g.now()
	}
	g.state, g.phase = img.state, ready
	if !g.state.Exists() {
		g.isAbsent(g, true)
	}
	lock.Activate(g.state, time.Now())
	g.unsaved, g.growth, g.saved = img.unsaved, img.growth, img.saved
	if before != nil {
		g.carryOver(before)
	}
	unknown := g.unknown
	g.unknown = nil
	for i := range unknown {
		switch o := &unknown[i]; {
		case img.durable:
			g.finish(o)
		case o.from == nil:
			g.again(o) // a device says nothing twice
		default:
			o.say(g, cluster.Retry)
		}
	}
	for stash := g.stash; len(stash) > 0; stash = stash[1:] {
		g.stash = stash[1:] // what is left of it, should this one panic
		g.metrics.stashed.Dec()
		g.request(ctx, stash[0])
	}
	g.stash = nil
	g.lean.Store(false)
	g.alarm()
}

// notLoaded logs that a lock could not be loaded. While the journal is away that is so with each that is asked for: one line a second,
// with the number of those since the line before, will do.
func (s *shell) notLoaded(stream string, err error) {
	if others, due := s.unloaded.Due(""); due {
		s.Logger.Error("a lock could not be loaded", slog.String("stream", stream), slog.Any("error", err), slog.Int("loads", 1+others))
	}
}

// unloaded is what they hear who have asked for a lock that could not be loaded. It is not busy: a look at the journal helps, and not a
// look at the lock. What a device has said is sent back, to be brought again.
func unloaded(c call) any {
	if _, said := sessionBehind(c.req.Command); said {
		return cluster.Busy
	}
	return &Response{Err: &lock.Error{
		Kind: lock.Busy, Reason: unavailableReason, Message: "The lock could not be read from the journal. Nothing was done; try again.",
	}}
}

// carryOver tells a state that was loaded again what was known of the live session, which no journal has.
func (g *grain) carryOver(before *lock.State) {
	if before.Device.Connected {
		g.execute(call{req: &Request{Command: &lock.KeepDevice{Device: before.Device}}})
	} else {
		g.orphan()
	}
	g.busy.Store(g.state.Device.Connected)
}

// read brings a state together from the journal: the snapshot, if there is a usable one, and the records after it. It also
// looks whether the append in doubt, if there is one, is in the journal.
func (s *shell) read(ctx context.Context, stream string, d *doubt) *image {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	select {
	case s.loads <- struct{}{}:
		defer func() { <-s.loads }()
	case <-ctx.Done():
		return &image{err: fmt.Errorf("actors: too many locks are being loaded: %w", ctx.Err())}
	}
	select {
	case <-s.joined:
	case <-ctx.Done():
		return &image{err: fmt.Errorf("actors: the node has not joined the cluster: %w", ctx.Err())}
	}
	started := time.Now()
	img := new(image)
	if d != nil {
		if img.durable, img.err = s.stored(ctx, stream, d); img.err != nil {
			return img
		}
	}
	if img.err = s.replay(ctx, stream, img); img.err == nil {
		s.metrics.loads.Observe(time.Since(started).Seconds())
	}
	return img
}

// replay runs on a goroutine of its own. A record on which the kernel panics costs the lock, and not the node and then the next one.
func (s *shell) replay(ctx context.Context, stream string, img *image) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			s.metrics.panics.Inc()
			s.Logger.Error("the loading of a lock panicked", slog.String("stream", stream), slog.Any("reason", reason),
				slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("actors: %s: %v", stream, reason)
		}
	}()
	img.state = new(lock.State)
	snapshot, ok, err := s.Journal.LoadSnapshot(ctx, stream)
	if err != nil {
		return err
	}
	if ok && lock.TakesSnapshot(snapshot.Codec) {
		state, err := lock.UnmarshalState(snapshot.Data)
		if err == nil && state.Version == snapshot.Version {
			img.state, img.saved = state, len(snapshot.Data)
		} else {
			s.Logger.Warn("a snapshot is of no use, the stream is replayed", slog.String("stream", stream), slog.Any("error", err))
		}
	}
	for r, err := range journal.All(ctx, s.Journal, stream, img.state.Version) {
		if err == nil {
			err = img.apply(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (img *image) apply(r *journal.Record) error {
	if r.Version != img.state.Version+1 {
		return fmt.Errorf("actors: %s has version %d after version %d", r.Stream, r.Version, img.state.Version)
	}
	e, err := lock.UnmarshalEvent(r.Type, r.Data)
	if err != nil {
		return fmt.Errorf("actors: %s version %d: %w", r.Stream, r.Version, err)
	}
	lock.Evolve(img.state, e)
	img.unsaved++
	img.growth += len(r.Data)
	return nil
}

// grow counts what a snapshot would save, and makes one when it is due. It is of a staged state, so it is kept with the
// command that made it so, until that is durable.
func (g *grain) grow(o *op) {
	if len(o.records) == 0 {
		return
	}
	g.unsaved += len(o.records)
	g.growth += bytesOf(o.records)
	if g.unsaved >= max(minUnsaved, g.state.TempKeyCount()) && g.growth >= snapshotRatio*g.saved {
		o.image = g.snapshot()
	}
}

// snapshot makes a snapshot of the state as it is; nil when that cannot be.
func (g *grain) snapshot() *journal.Snapshot {
	data, err := lock.MarshalState(g.state)
	if err != nil {
		g.Logger.Error("a snapshot cannot be written", slog.String("stream", g.stream()), slog.Any("error", err))
		return nil
	}
	g.unsaved, g.growth, g.saved = 0, 0, len(data)
	return &journal.Snapshot{Stream: g.stream(), Version: g.state.Version, Codec: lock.StateCodec, Data: data}
}

// save hands a snapshot of what is durable to the journal, which does not wait for a disk.
func (g *grain) save(s *journal.Snapshot) {
	if s == nil {
		return
	}
	if err := g.Journal.SaveSnapshot(g.shell.ctx, *s); err != nil {
		g.Logger.Warn("a snapshot was not kept", slog.String("stream", s.Stream), slog.Any("error", err))
		return
	}
	g.metrics.snapshots.Inc()
}
