package actors

import (
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/internal/planted"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// stage puts a decided command behind those before it. With none before it, and nothing to store, it is done at once,
// unless what it says has to be confirmed.
func (g *grain) stage(o op) {
	if len(g.queue) == 0 && o.records == nil && (!g.shared || o.silent()) {
		g.finish(&o)
		return
	}
	g.queue = append(g.queue, o)
	g.metrics.staged.Add(1)
	if g.covered == 0 {
		g.submit()
		return
	}
	if !g.wanted.Swap(true) && g.settled.Load() {
		g.system.Root.Send(g.pid, wake{}) // nobody did when the journal answered
	}
	if g.lingers && !o.lazy() {
		g.lingers = false
		g.Journal.Hurry()
	}
}

// lazy tells whether nobody waits for the command: it is the device's word, which goes into the journal for later.
func (o *op) lazy() bool {
	if o.from != nil {
		return false
	}
	switch o.req.Command.(type) {
	case *lock.AnswerOpen, *lock.AnswerStatus, *lock.AnswerConfig, *lock.ReportEvents:
		return true
	}
	return false
}

// silent tells whether nobody hears of the command. Of what a device has said an activation that is out of date would make
// nothing, and nobody would say it again.
func (o *op) silent() bool {
	return o.from == nil && !isAnswer(o.req.Command) && len(o.others) == 0 && len(o.effects) == 0 && len(o.ended) == 0 && len(o.keys) == 0
}

// firstStored finds the first command that has something to store, -1 when none has.
func firstStored(ops []op) int {
	return slices.IndexFunc(ops, func(o op) bool { return o.records != nil })
}

// submit starts the append that stores the first command that has something to store, with all that follow it. A claim may
// fail, so that a command with one goes alone. What comes before it has nothing to store: it can be finished when the
// journal is this process's own. Otherwise another activation may have written since, and it waits for the append, which
// succeeds on the newest state only, or is confirmed.
func (g *grain) submit() {
	for !g.shared && len(g.queue) > 0 && g.queue[0].records == nil {
		g.finish(&g.queue[0])
		g.metrics.staged.Add(-1)
		g.pop(1)
	}
	if len(g.queue) == 0 {
		return
	}
	at := firstStored(g.queue)
	if at < 0 {
		g.confirm()
		return
	}
	first := &g.queue[at]
	a := journal.Append{
		Stream: g.stream(), Deadline: first.until(), Lazy: first.lazy(),
		Records: slices.Clip(first.records), Index: slices.Clip(first.index), // they are the command's own
	}
	for i := range at {
		a.Lazy = a.Lazy && g.queue[i].lazy()
	}
	last, size := at+1, bytesOf(first.records)
	for ; !claims(first) && last < len(g.queue) && last < maxBatch && size < batchBytes; last++ {
		o := &g.queue[last]
		if claims(o) {
			break
		}
		a.Lazy = a.Lazy && o.lazy()
		if o.records == nil {
			continue
		}
		a.Records, a.Index = append(a.Records, o.records...), append(a.Index, o.index...)
		size += bytesOf(o.records)
		if d := o.until(); d.After(a.Deadline) {
			a.Deadline = d
		}
	}
	a.Expected = g.state.Version - uint64(len(a.Records))
	for i := last; i < len(g.queue); i++ {
		a.Expected -= uint64(len(g.queue[i].records))
		a.Lazy = a.Lazy && g.queue[i].lazy()
	}
	a.ID = g.appendID(first, a.Expected)
	g.covered, g.expected, g.lingers = last, a.Expected, a.Lazy
	g.lean.Store(false)
	g.wanted.Store(last < len(g.queue) || slices.ContainsFunc(g.queue, func(o op) bool { return !o.silent() || o.image != nil }))
	g.Journal.Submit(a, func(r journal.Result) { g.journalAnswers(r, last) })
}

// confirm asks the journal whether the state that all in the queue was decided on is the newest.
func (g *grain) confirm() {
	g.covered, g.expected, g.lingers = len(g.queue), g.state.Version, false
	g.lean.Store(false)
	g.wanted.Store(true)
	covered := g.covered
	g.Journal.Confirm(g.stream(), g.expected, func(err error) { g.journalAnswers(journal.Result{Err: err}, covered) })
}

// journalAnswers is called by the journal. An answer that changes nothing for anybody waits for the next message.
func (g *grain) journalAnswers(r journal.Result, covered int) {
	g.metrics.staged.Add(-int64(covered))
	g.answer = r
	g.settled.Store(true)
	g.pay()
	if g.wanted.Load() || r.Err != nil {
		g.system.Root.Send(g.pid, wake{})
	}
}

// until is when an append of the command makes no sense any more.
func (o *op) until() time.Time {
	if o.req.Deadline.IsZero() {
		return o.at.Add(appendTimeout)
	}
	return o.req.Deadline
}

// appendID names an append: as its first command is named, or else by activation and version.
func (g *grain) appendID(first *op, expected uint64) string {
	if first.req.ID != "" {
		return first.req.ID
	}
	var b [40]byte
	id := strconv.AppendUint(b[:0], g.nonce, 36)
	return string(strconv.AppendUint(append(id, '-'), expected, 36))
}

func claims(o *op) bool { return len(o.index) > 0 && o.index[0].Op == journal.Claim }

func bytesOf(records []journal.NewRecord) (n int) {
	for i := range records {
		n += len(records[i].Data) + len(records[i].Type)
	}
	return n
}

// settle takes the journal's answer to the append in flight. It reports whether the next one may follow.
func (g *grain) settle(ctx actor.Context) bool {
	g.settled.Store(false)
	if g.phase == stopping {
		return false
	}
	if err := g.answer.Err; err != nil {
		return g.failed(ctx, err)
	}
	g.over, g.covered = g.covered, 0
	for i := range g.over {
		g.finished = i + 1
		g.finish(&g.queue[i])
	}
	g.pop(g.over)
	g.over, g.finished = 0, 0
	return true
}

// pop takes the first n out of the queue.
func (g *grain) pop(n int) {
	left := copy(g.queue, g.queue[n:])
	clear(g.queue[left:])
	g.queue = g.queue[:left]
}

// finish does and says what was decided: it is durable now, and so is all that was decided before it.
func (g *grain) finish(o *op) {
	for _, e := range o.effects {
		if ask, comesBack := e.(*lock.AskStatus); comesBack && planted.Has(planted.ResendOpen) {
			g.resend(ask)
			continue
		}
		g.deliver(e)
	}
	g.ended(o.ended)
	g.keysEnded(o.keys)
	if o.image != nil {
		g.save(o.image)
	}
	switch {
	case o.opening:
		g.await(o)
	case o.keying:
		g.awaitKey(o)
	case len(o.safe) > 0:
		g.withhold(o)
	default:
		g.answered(o)
	}
}

// resend tells a device that comes back to do what it may have done already. Only a planted bug does so.
func (g *grain) resend(ask *lock.AskStatus) {
	for _, id := range ask.CommandIDs {
		g.deliver(&lock.SendOpen{
			Session: ask.Session, CommandID: id, BootID: g.state.Device.BootID, Epoch: g.state.Version, NotAfter: time.Now().Add(lock.MaxLifetime),
		})
	}
}

// answered gives the reply of a command to all that have sent it, and remembers it for those who send it again.
func (g *grain) answered(o *op) {
	if o.req.ID != "" && o.records != nil && !o.opening {
		g.remember(o.req.ID, o.response)
	}
	o.say(g, o.response)
}

// say answers all that have sent the command.
func (o *op) say(g *grain, answer any) {
	g.tell(o.from, answer)
	for _, from := range o.others {
		g.tell(from, answer)
	}
}

// failed deals with an append that did not happen. The staged state is wrong from that command on, so it is dropped, and
// loaded again from the journal, unless another activation may own the stream: then this one ends. It reports whether neither
// is needed.
func (g *grain) failed(ctx actor.Context, err error) bool {
	g.metrics.failures(err)
	batch, later := g.queue[:g.covered], g.queue[g.covered:]
	if firstStored(batch) < 0 && !errors.Is(err, journal.ErrConflict) {
		g.unconfirmed(batch)
		return true
	}
	var claim *journal.ClaimError
	var answer any
	switch {
	case errors.As(err, &claim):
		answer = &Response{Err: taken(claim)}
	case errors.Is(err, journal.ErrDeadline):
		answer = cluster.Busy
	case errors.Is(err, journal.ErrInvalid):
		g.Logger.Error("the journal takes no such append", slog.String("stream", g.stream()), slog.Any("error", err))
		answer = &Response{Err: internalError()}
	case errors.Is(err, journal.ErrUnknown):
		g.unknown, batch = batch, nil
	default:
		g.Logger.Warn("an append failed, the grain starts anew", slog.String("stream", g.stream()), slog.Any("error", err))
		g.over, g.covered = g.covered, 0 // the journal has answered: nothing of it was stored
		g.quit(ctx)
		return false
	}
	for i := range batch {
		// What has no records of its own was decided on what failed. A device says nothing twice.
		if o := &batch[i]; o.records == nil || o.from == nil && answer == any(cluster.Busy) {
			g.again(o)
		} else {
			o.say(g, answer)
		}
	}
	for i := range later {
		g.again(&later[i])
	}
	g.metrics.staged.Add(-int64(len(later)))
	g.queue, g.covered = nil, 0
	g.reload(ctx)
	return false
}

// unconfirmed answers those to whom nothing can be said, since it may be out of date. The state has lost nothing by it.
func (g *grain) unconfirmed(batch []op) {
	for i := range batch {
		batch[i].say(g, cluster.Busy)
		g.passOn(batch[i].call)
	}
	g.pop(g.covered)
	g.covered = 0
}

// again keeps a command that was decided on a state that never was, to be decided anew.
func (g *grain) again(o *op) {
	for _, from := range append(o.others, o.from) {
		c := call{req: o.req, from: from}
		if len(g.stash) >= maxStash {
			g.sendBack(c, cluster.Retry)
			continue
		}
		g.stash = append(g.stash, c)
		g.metrics.stashed.Inc()
	}
}

// remembrance is a reply that was given, for a request that is sent again.
type remembrance struct {
	id       string
	response *Response
}

func (g *grain) remember(id string, r *Response) {
	if len(g.recent) >= remembered {
		copy(g.recent, g.recent[1:])
		g.recent = g.recent[:remembered-1]
	}
	g.recent = append(g.recent, remembrance{id: id, response: r})
}

// repeated deals with a request that was sent before. Opens are left to the kernel, which knows their request IDs longer.
func (g *grain) repeated(c call) bool {
	if c.req.ID == "" {
		return false
	}
	switch c.req.Command.(type) {
	case *lock.OpenLock, *lock.OpenWithTempKey:
		return false
	}
	for i := range g.queue {
		if o := &g.queue[i]; o.req.ID == c.req.ID {
			o.others = append(o.others, c.from)
			return true
		}
	}
	for i := range g.waiters {
		if w := &g.waiters[i]; w.req.ID == c.req.ID {
			w.others = append(w.others, c.from)
			return true
		}
	}
	for _, r := range g.recent {
		if r.id == c.req.ID {
			g.tell(c.from, r.response) // it was given before, so it is durable
			return true
		}
	}
	return false
}
