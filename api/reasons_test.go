package api_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var listReasons = flag.Bool("list-reasons", false, "print the reasons that the code gives, as rows of docs/errors.md")

// statuses are what the kinds of rejections and the names of net/http stand for.
var statuses = map[string]int{
	"Invalid": 400, "Unauthentic": 401, "Forbidden": 403, "NotFound": 404, "Conflict": 409, "Offline": 502, "Busy": 503, "Mismatch": 422,
	"StatusBadRequest": 400, "StatusUnauthorized": 401, "StatusForbidden": 403, "StatusNotFound": 404, "StatusMethodNotAllowed": 405,
	"StatusRequestTimeout": 408, "StatusConflict": 409, "StatusRequestEntityTooLarge": 413, "StatusUnsupportedMediaType": 415,
	"StatusUnprocessableEntity": 422, "StatusTooManyRequests": 429, "StatusInternalServerError": 500, "StatusBadGateway": 502,
	"StatusServiceUnavailable": 503, "StatusGatewayTimeout": 504,
}

// makers are the functions that make rejections: where the reason and the message are among their arguments, and the status, unless the
// first argument is its kind.
var makers = map[string]struct{ reason, message, status int }{
	"reject": {1, 2, 0}, "invalid": {1, 2, http.StatusBadRequest}, "badRequest": {0, 2, http.StatusBadRequest},
	"unauthentic": {0, 1, http.StatusUnauthorized}, "refused": {0, 1, http.StatusUnauthorized}, "busy": {0, 1, http.StatusServiceUnavailable},
}

// enders are the functions that say what became of a command to a device, and where the reason is among their arguments.
var enders = map[string]int{"failed": 2, "giveUpKey": 2, "keyFailed": 3, "forgetKey": 2}

// reasons are those that the code gives, by their status, with the message of one place where they are given.
type reasons struct {
	consts   map[string]string
	found    map[string]string // "409 reason" to a message
	outcomes map[string]bool   // reasons without a status: of an outcome
}

func (r *reasons) text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.Ident:
		return r.consts[e.Name]
	case *ast.SelectorExpr:
		return r.consts[e.Sel.Name]
	}
	return ""
}

func nameIn(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func (r *reasons) add(status int, reason, message string) {
	if key := fmt.Sprint(status, " ", reason); status != 0 && reason != "" && r.found[key] == "" {
		r.found[key] = message
	}
}

func (r *reasons) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if at, ok := enders[nameIn(n.Fun)]; ok && len(n.Args) > at {
			r.ended(r.text(n.Args[at]))
		}
		m, ok := makers[nameIn(n.Fun)]
		if !ok || len(n.Args) <= m.message {
			return true
		}
		status := m.status
		if status == 0 {
			status = statuses[nameIn(n.Args[0])]
		}
		r.add(status, r.text(n.Args[m.reason]), r.text(n.Args[m.message]))
	case *ast.CompositeLit:
		var status int
		var reason, message string
		for _, e := range n.Elts {
			field, ok := e.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			switch strings.ToLower(nameIn(field.Key)) {
			case "kind", "status":
				status = statuses[nameIn(field.Value)]
			case "reason":
				reason = r.text(field.Value)
			case "message":
				message = r.text(field.Value)
			}
		}
		r.add(status, reason, message)
		if status == 0 {
			r.ended(reason)
		}
	}
	return true
}

func (r *reasons) ended(reason string) {
	if reason != "" && !strings.Contains(reason, " ") { // a word for programs, and not a sentence for a log
		r.outcomes[reason] = true
	}
}

// reasonsOfTheCode reads the packages whose rejections callers see.
func reasonsOfTheCode(t *testing.T) *reasons {
	t.Helper()
	var files []*ast.File
	for _, folder := range []string{"lock", "tenant", "directory", "collective", "actors", "api", "named"} {
		paths, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
		require.NoError(t, err)
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".gen.go") {
				continue
			}
			file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			files = append(files, file)
		}
	}
	r := &reasons{consts: map[string]string{}, found: map[string]string{}, outcomes: map[string]bool{}}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == 1 && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "Reason") {
				r.consts[spec.Names[0].Name] = r.text(spec.Values[0])
			}
			return true
		})
	}
	for _, f := range files {
		ast.Inspect(f, r.visit)
	}
	return r
}

// Every reason that an answer can have is in docs/errors.md with its status, and nothing else is.
func TestEveryReasonIsDocumented(t *testing.T) {
	t.Parallel()
	all := reasonsOfTheCode(t)
	code := all.found
	require.Greater(t, len(code), 100)
	if *listReasons {
		for _, key := range slices.Sorted(func(yield func(string) bool) {
			for k := range code {
				if !yield(k) {
					return
				}
			}
		}) {
			status, reason, _ := strings.Cut(key, " ")
			fmt.Printf("| %s | `%s` | %s |\n", status, reason, code[key])
		}
	}
	data, err := os.ReadFile("../docs/errors.md")
	require.NoError(t, err)
	documented := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		reason := strings.TrimSpace(cells[2])
		if !strings.HasPrefix(reason, "`") || !strings.HasSuffix(reason, "`") {
			continue // a row of another table
		}
		key := strings.TrimSpace(cells[1]) + " " + strings.Trim(reason, "`")
		require.False(t, documented[key], "%s is there twice", key)
		documented[key] = true
	}
	for key := range code {
		require.Equal(t, !notForCallers[key], documented[key], "docs/errors.md should have %q, unless it is in notForCallers", key)
	}
	_, outcomes, ok := strings.Cut(string(data), "\nOf an open or a change of a key that has an `outcome`")
	require.True(t, ok)
	require.Greater(t, len(all.outcomes), 5)
	for reason := range all.outcomes {
		require.True(t, documented["502 "+reason] || strings.Contains(outcomes, "`"+reason+"`"), "docs/errors.md should have %q among the reasons of an outcome", reason)
	}
	for key := range documented {
		if _, ok := code[key]; !ok && !elsewhereMade[key] {
			t.Errorf("docs/errors.md has %q, which no answer has", key)
		}
	}
}

// elsewhereMade are the reasons that are put together while the program runs: from the status of an API key, and from what devices say.
var elsewhereMade = map[string]bool{
	"409 api-key-expired": true, "409 api-key-revoked": true, "502 boot-mismatch": true, "502 deadline-passed": true, "502 device-busy": true,
	"502 device-error": true, "502 device-refused": true, "502 jammed": true, "502 low-battery": true, "502 no-space": true, "502 not-seen": true,
	"502 stale-epoch": true, "502 stale-session": true, "502 unsupported": true,
}

// notForCallers are the reasons that no caller of the API can get: of commands that the server makes itself, and of devices.
var notForCallers = map[string]bool{
	"400 command-id-invalid":         true,
	"400 command-unknown":            true,
	"400 instance-id-invalid":        true,
	"400 lifetime-invalid":           true,
	"400 message-unknown":            true,
	"400 secret-hash-invalid":        true,
	"400 too-many-events":            true,
	"401 device-credentials-invalid": true,
	"409 command-id-reused":          true,
}
