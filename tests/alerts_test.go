package tests

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	alertFolder = "../docs/prometheus"
	dashboard   = alertFolder + "/dashboard.json"
	runbook     = "../docs/operations.md"
	metricsList = "../docs/metrics.md"
	reasonsList = "../docs/errors.md"
)

// alert is a rule as Prometheus tells of it.
type alert struct {
	Name, Query, State, Health, LastError string
	LastEvaluation                        time.Time
}

// prometheus is a real one, with the alerts of the documentation.
type prometheus struct {
	*process
	url string
}

func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join(alertFolder, "alerts.yml"))
	require.NoError(t, err)
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: latchkey, static_configs: [{targets: [%q]}]}]
`, rules, target), 0o600))
	addr := quietAddr(t)
	p := run(t, exec.Command("prometheus", "--config.file", config, "--storage.tsdb.path", t.TempDir(), "--web.listen-address", addr))
	p.waitFor(t, "Prometheus serves", func(_, stderr string) bool { return strings.Contains(stderr, "Server is ready") })
	return &prometheus{p, "http://" + addr}
}

// ask reads what a path of Prometheus's API answers.
func (p *prometheus) ask(t *testing.T, path string, query url.Values, answer any) {
	t.Helper()
	response, body := fetch(t, http.MethodGet, p.url+"/api/v1/"+path+"?"+query.Encode(), nil)
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	require.NoError(t, json.Unmarshal([]byte(body), &struct{ Data any }{answer}))
}

func (p *prometheus) alerts(t *testing.T) []alert {
	t.Helper()
	var found struct{ Groups []struct{ Rules []alert } }
	p.ask(t, "rules", nil, &found)
	require.Len(t, found.Groups, 1)
	return found.Groups[0].Rules
}

// series counts those that fit a selector.
func (p *prometheus) series(t *testing.T, selector string) int {
	t.Helper()
	var found []json.RawMessage
	p.ask(t, "series", url.Values{"match[]": {selector}}, &found)
	return len(found)
}

var (
	selectorPattern = regexp.MustCompile(`\b(?:latchkey_\w+|process_\w+|up)(?:\{[^}]*\})?`)
	choicePattern   = regexp.MustCompile(`^(.*)=~"([^"]*)"\}$`)
)

// selectors are what a query reads, one for each of the values that a label may have.
func selectors(query string) (all []string) {
	for _, s := range selectorPattern.FindAllString(query, -1) {
		choice := choicePattern.FindStringSubmatch(s)
		if choice == nil {
			all = append(all, s)
			continue
		}
		for value := range strings.SplitSeq(choice[2], "|") {
			all = append(all, fmt.Sprintf("%s=%q}", choice[1], value))
		}
	}
	return all
}

// panels are the queries of the dashboard, as Grafana would send them when nothing is chosen.
func panels(t *testing.T) (queries []string) {
	t.Helper()
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, dashboard)), &board))
	chosen := strings.NewReplacer(`="$job"`, `="latchkey"`, `, instance=~"$instance"`, "", "$__rate_interval", "1m")
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, chosen.Replace(target.Expr))
		}
	}
	require.NotEmpty(t, queries)
	return queries
}

// Each alert waits for what it says, and not for less.
func TestAlertsWakeForWhatTheySay(t *testing.T) {
	t.Parallel()
	command := exec.Command("promtool", "test", "rules", "alerts_test.yml")
	command.Dir = alertFolder
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
}

// A Prometheus that scrapes a server finds all that the alerts and the dashboard look at, wakes nobody while all is well, and notices
// a server's death. The runbook has every alert, and no other.
func TestAlertsAndDashboardReadWhatServersShow(t *testing.T) {
	t.Parallel()
	cert, key, roots := certificate(t)
	c := newClusterOf(t, 1, "--tls-cert", cert, "--tls-key", key, "--cluster-tls-ca", cert, "--cluster-tls-cert", cert, "--cluster-tls-key", key)
	n := c.nodes[0]
	n.start(t)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(client.CloseIdleConnections)
	response, err := client.Get(strings.Replace(n.url, "http://", "https://", 1) + "/locks/1/temp-keys") // requests are counted from the first on
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	p := startPrometheus(t, strings.TrimPrefix(n.ops, "http://"))
	var alerts []alert
	require.Eventually(t, func() bool {
		alerts = p.alerts(t)
		return p.series(t, "latchkey_ops_ready") > 0 && !slices.ContainsFunc(alerts, func(a alert) bool { return a.LastEvaluation.IsZero() })
	}, patience, pollEvery)

	var named, told []string
	reasons := read(t, reasonsList)
	for _, a := range alerts {
		named = append(named, a.Name)
		require.Equal(t, "ok", a.Health, "%s: %s", a.Name, a.LastError)
		for _, s := range selectors(a.Query) {
			if s == "latchkey_journal_wal_pages" { // of a journal in SQLite, whose tests look at it; this server has PostgreSQL
				continue
			}
			if _, reason, ok := strings.Cut(s, `{reason="`); ok { // a counter of refusals begins with the first of its reason
				require.Contains(t, reasons, "`"+strings.TrimSuffix(reason, `"}`)+"`", a.Name)
				name, _, _ := strings.Cut(s, "{")
				require.Positive(t, p.series(t, name), a.Name)
				continue
			}
			require.Positive(t, p.series(t, s), "%s looks at %s", a.Name, s)
		}
	}
	for _, found := range regexp.MustCompile("`(Latchkey[A-Z]\\w+)`").FindAllStringSubmatch(read(t, runbook), -1) {
		told = append(told, found[1])
	}
	require.ElementsMatch(t, named, told, "the alerts, and those of the runbook")

	for _, query := range panels(t) {
		require.NotContains(t, query, "$")
		p.ask(t, "query", url.Values{"query": {query}}, new(any))
		for _, s := range selectors(query) {
			require.Positive(t, p.series(t, s), "the dashboard looks at %s", s)
		}
	}

	var shown []string
	_, metrics := fetch(t, http.MethodGet, n.ops+"/metrics", nil)
	for _, found := range regexp.MustCompile(`(?m)^# HELP (latchkey_\w+)`).FindAllStringSubmatch(metrics, -1) {
		shown = append(shown, found[1])
	}
	// These have no series yet, or are of a journal in SQLite, whose tests look at them.
	shown = append(shown, "latchkey_journal_failures_total", "latchkey_journal_wal_pages", "latchkey_journal_unknown_commits_total")
	var listed []string
	for _, found := range regexp.MustCompile("`(latchkey_\\w+)`").FindAllStringSubmatch(read(t, metricsList), -1) {
		listed = append(listed, found[1])
	}
	require.ElementsMatch(t, shown, listed, "what a server shows, and the list of metrics")

	require.Eventually(t, func() bool {
		alerts = slices.DeleteFunc(p.alerts(t), func(a alert) bool {
			return a.State == "inactive" || strings.HasPrefix(a.Name, "LatchkeyCertificateEnds") // this test's has an hour left
		})
		return len(alerts) == 0
	}, patience, pollEvery, "before its first scrape it missed all servers, and now nothing: %v", &alerts)
	n.kill()
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(p.alerts(t), func(a alert) bool { return a.Name == "LatchkeyDown" && a.State == "pending" })
	}, patience, pollEvery)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}
