package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres"
)

// keepEvidence leaves the three witnesses of a test that failed in a folder that stays, one line of JSON for each thing that they
// saw, for whoever has to find out why.
func (c *cluster) keepEvidence(t *testing.T) {
	if !t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var records []journal.Record
	j, err := postgres.Open(ctx, postgres.Options{URL: c.store.URL(database)})
	if err == nil {
		defer j.Close()
		records, err = readAll(ctx, j)
	}
	if err != nil {
		t.Log(err)
	}
	e := c.evidence(records)
	dir, err := os.MkdirTemp("", "latchkey-evidence-")
	if err != nil {
		t.Log(err)
		return
	}
	for name, lines := range map[string]int{"calls": len(e.acts), "movements": len(e.moves), "journal": len(e.records)} {
		if err := writeLines(filepath.Join(dir, name+".jsonl"), lines, func(i int) any {
			switch name {
			case "calls":
				return e.acts[i].line()
			case "movements":
				return e.moves[i]
			}
			return recordLine(e.records[i])
		}); err != nil {
			t.Log(err)
		}
	}
	t.Logf("%d calls, %d movements and %d records are in %s", len(e.acts), len(e.moves), len(e.records), dir)
}

func writeLines(path string, n int, line func(int) any) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := json.NewEncoder(f)
	for i := range n {
		if err := out.Encode(line(i)); err != nil {
			return err
		}
	}
	return nil
}

const clockFormat = "15:04:05.000000"

func (a *act) line() any {
	return map[string]any{
		"from": a.called.Format(clockFormat), "to": a.answered.Format(clockFormat), "what": a.kind, "lock": a.lock, "key": a.key,
		"request": a.request, "limit": a.limit, "attempts": a.attempts, "status": a.status, "reason": a.reason, "version": a.version,
		"event": a.event, "outcome": a.outcome, "uses": a.uses,
	}
}

func recordLine(r journal.Record) any {
	return map[string]any{
		"at": fmt.Sprintf("%s@%d", r.Stream, r.Version), "position": r.Position, "time": r.Time.Local().Format(time.TimeOnly + ".000"),
		"type": r.Type, "append": r.AppendID, "data": json.RawMessage(r.Data),
	}
}
