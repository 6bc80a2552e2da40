package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// measurement is what one server does under one load, in turns.
type measurement struct {
	process *process
	callers int
	moves   bool // each operation moves a motor
	call    func(ctx context.Context, caller int) error

	took      time.Duration
	latencies []time.Duration
	turns     []turn
	cpu       time.Duration // of the process, when the last turn began
}

// turn is one of them. Its CPU time is all that the process used from its beginning to that of the next one.
type turn struct {
	ops int
	cpu time.Duration
}

func (t turn) cpuPer() time.Duration { return t.cpu / time.Duration(max(t.ops, 1)) }

func (m *measurement) turn(ctx context.Context, period time.Duration) error {
	if err := m.settle(); err != nil {
		return err
	}
	moved := m.process.fleet.movements.Load()
	begin := time.Now()
	latencies, err := load(ctx, m.callers, period, m.call)
	if err != nil {
		return err
	}
	m.took += time.Since(begin)
	if moved = m.process.fleet.movements.Load() - moved; m.moves && moved < int64(len(latencies))*9/10 {
		return fmt.Errorf("%d opens were confirmed but only %d motors moved", len(latencies), moved)
	}
	m.latencies = append(m.latencies, latencies...)
	m.turns = append(m.turns, turn{ops: len(latencies)})
	return nil
}

// settle gives the last turn what the process has used since it began.
func (m *measurement) settle() error {
	cpu, err := m.process.cpu()
	if err != nil {
		return err
	}
	if n := len(m.turns); n > 0 {
		m.turns[n-1].cpu = cpu - m.cpu
	}
	m.cpu = cpu
	return nil
}

func (m *measurement) rate() float64 { return float64(len(m.latencies)) / m.took.Seconds() }

func (m *measurement) cpuPer() time.Duration { return sum(m.turns).cpuPer() }

func sum(turns []turn) (all turn) {
	for _, t := range turns {
		all.ops, all.cpu = all.ops+t.ops, all.cpu+t.cpu
	}
	return all
}

// overCPU is how many times as much CPU an operation costs as on another server: the median of the rounds, two at a time, since their
// orders are each other's reverse, and only together is the time between the turns of one server what it is for the other.
func (m *measurement) overCPU(other *measurement) float64 {
	ours, others := slices.Collect(slices.Chunk(m.turns, 2)), slices.Collect(slices.Chunk(other.turns, 2))
	ratios := make([]float64, len(ours))
	for i := range ratios {
		ratios[i] = ratio(sum(ours[i]).cpuPer(), sum(others[i]).cpuPer())
	}
	slices.Sort(ratios)
	return (ratios[(len(ratios)-1)/2] + ratios[len(ratios)/2]) / 2
}

// percentile is how long that part of the operations took at the most.
func (m *measurement) percentile(p int) time.Duration {
	slices.Sort(m.latencies)
	return m.latencies[(len(m.latencies)-1)*p/100]
}
