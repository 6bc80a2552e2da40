package sqlite_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sqliteconn "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/sqlite"
)

// A backup, or a shell that somebody has left open, keeps the WAL from beginning anew for as long as it reads. Doors must not wait for
// it, the operator has to hear of it, and the disk gets its space back.
func TestALongReaderHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	const large, limit = 2 << 20, 64 << 20
	path, registry := filepath.Join(t.TempDir(), "journal.db"), prometheus.NewRegistry()
	var log bytes.Buffer
	j, err := sqlite.Open(sqlite.Options{Path: path, Logger: slog.New(slog.NewTextHandler(&log, nil)), Registerer: registry})
	require.NoError(t, err)
	appended, slowest := 0, time.Duration(0)
	add := func() {
		a := happened(fmt.Sprint("stream ", appended), 0, 1)
		a.Records[0].Data = make([]byte, large)
		start := time.Now()
		_, err := journal.Do(t.Context(), j, a)
		require.NoError(t, err)
		appended, slowest = appended+1, max(slowest, time.Since(start))
	}
	add()
	reader, err := sqliteconn.OpenConn(path, sqliteconn.OpenReadOnly)
	require.NoError(t, err)
	for _, statement := range []string{"BEGIN", "SELECT count(*) FROM records"} {
		require.NoError(t, sqlitex.ExecuteTransient(reader, statement, nil))
	}
	for gauge(t, registry, "latchkey_journal_wal_pages") < 1.2*limit/4096 {
		add()
		require.Less(t, appended, 4*limit/large)
	}
	t.Logf("the slowest of %d appends took %v", appended, slowest)
	require.Less(t, slowest, 4*time.Second, "and no append waits for the reader, for which it would be 5 s")
	require.NoError(t, j.Healthy(t.Context()))

	require.NoError(t, reader.Close())
	size := func() int64 {
		file, err := os.Stat(path + "-wal")
		require.NoError(t, err)
		return file.Size()
	}
	require.Greater(t, size(), int64(limit))
	for before := appended; size() > limit; add() {
		require.Less(t, appended, before+limit/large)
	}
	require.NoError(t, j.Close())
	require.Equal(t, 1, strings.Count(log.String(), `level=WARN msg="the WAL grows`), log.String())
	require.Equal(t, 1, strings.Count(log.String(), `level=INFO msg="the WAL can begin anew"`), log.String())
}

func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}
