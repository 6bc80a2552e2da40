package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table collects the figures.
type table struct {
	rows  []row
	locks int
	ours  int64 // bytes of an idle lock
	bare  int64
}

type row struct {
	name                string
	ours, bare, storing *measurement // storing is nil where it was not measured
}

func (t *table) memory(locks int, ours, bare int64) { t.locks, t.ours, t.bare = locks, ours, bare }

func (t *table) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nlatchkey against bare (net/http, chi, gorilla/websocket and a map; stores nothing) and against the same with an fsync for each open")
	fmt.Fprintln(w, "\tops/s\tp50\tp99\tserver CPU each\tbare CPU each\tCPU ratio\tp50 ratio\tfsync CPU each\tCPU ratio\tp50 ratio\t")
	for _, r := range t.rows {
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t%s\t", r.name, r.ours.rate(), micro(r.ours.percentile(50)), micro(r.ours.percentile(99)), micro(r.ours.cpuPer()))
		for _, other := range []*measurement{r.bare, r.storing} {
			if other == nil {
				fmt.Fprint(w, "\t\t\t")
				continue
			}
			fmt.Fprintf(w, "%s\t%.2f\t%.2f\t", micro(other.cpuPer()), r.ours.overCPU(other), ratio(r.ours.percentile(50), other.percentile(50)))
		}
		fmt.Fprintln(w)
	}
	if t.locks > 0 {
		fmt.Fprintf(w, "memory of an idle connected lock, %d of them\t%.1f KB\t\t\t\t%.1f KB bare\t%.2f\t\n", t.locks,
			float64(t.ours)/1e3, float64(t.bare)/1e3, float64(t.ours)/float64(max(t.bare, 1)))
	}
	return w.Flush()
}

func micro(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%.1fus", float64(d)/1e3)
	}
	return fmt.Sprintf("%.2fms", float64(d)/1e6)
}

func ratio[T ~int64](a, b T) float64 { return float64(a) / float64(max(b, 1)) }
