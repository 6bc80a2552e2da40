// Package arch holds the arrows of ARCHITECTURE.md: which part may import which. It looks at what the go command sees,
// so that no alias, build tag or new folder gets around it. A new part belongs into the table first.
package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module     = "github.com/latchkey/latchkey"
	protoactor = "github.com/asynkron/protoactor-go"
)

// arrows says which other parts each part may import. A part is a folder with all the folders below it that are not
// in the table themselves. Tests may import more than that: whatever joins the real neighbours for them.
var arrows = map[string][]string{
	"lock":                  {"lock/zone"},
	"lock/zone":             {},
	"transport/wire":        {},
	"journal":               {"internal/planted"},
	"cluster":               {"internal/keyring", "internal/planted", "internal/ring", "internal/workers"},
	"named":                 {"journal", "lock"},
	"tenant":                {"journal", "lock", "named"},
	"collective":            {"journal", "lock", "named"},
	"directory":             {"journal", "lock", "named"},
	"actors":                {"cluster", "internal/planted", "internal/seldom", "journal", "lock"},
	"transport":             {"internal/planted", "internal/seldom", "internal/workers", "transport/wire", "lock"},
	"api":                   {"audit", "collective", "directory", "internal/seldom", "lock", "named", "tenant"},
	"audit":                 {"journal", "lock", "tenant"},
	"client":                {},
	"sim":                   {"client", "transport/wire", "lock"},
	"internal/config":       {},
	"internal/ops":          {},
	"internal/app":          {"actors", "api", "audit", "cluster", "collective", "directory", "internal/config", "internal/keyring", "internal/ops", "journal", "lock", "named", "tenant", "transport"},
	"internal/demo":         {"client", "sim"},
	"internal/abreast":      {},
	"internal/arch":         {},
	"internal/dose":         {},
	"internal/form":         {},
	"internal/keyring":      {},
	"internal/lateness":     {},
	"internal/localcluster": {"cluster", "internal/demo", "journal"},
	"internal/planted":      {},
	"internal/ring":         {},
	"internal/seldom":       {},
	"internal/slack":        {},
	"internal/verify":       {"collective", "journal", "lock", "named", "tenant"},
	"internal/workers":      {"internal/ring"},
	"bench":                 {"internal/app", "internal/config", "lock", "sim", "transport/wire"},
	"cmd":                   {"bench", "client", "internal/app", "internal/config", "internal/demo", "internal/slack", "internal/verify", "sim"},
	"tests":                 {},
}

// part finds the part that a package of ours belongs to: the longest folder of the table that holds it.
func part(importPath string) (name string, ok bool) {
	for name = strings.TrimPrefix(importPath, module+"/"); name != "."; name = path.Dir(name) {
		if _, ok := arrows[name]; ok {
			return name, true
		}
	}
	return "", false
}

// pure packages import the standard library only, and of that nothing that reads a clock, a file or a socket.
var pure = map[string][]string{
	"lock":           {"context", "crypto/rand", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "sync", "sync/atomic", "testing"},
	"lock/zone":      {"context", "crypto/rand", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "testing"},
	"transport/wire": {"context", "crypto/rand", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "sync", "sync/atomic", "testing"},
	"journal":        {"database/sql", "net", "net/http", "os"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...")
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	require.NoError(t, err, problem.String())
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
}

func TestArrows(t *testing.T) {
	t.Parallel()
	all := packages(t)
	require.NotEmpty(t, all)
	for _, p := range all {
		from, known := part(p.ImportPath)
		if !known {
			t.Errorf("%s is a new part: decide in arrows what it may import", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, protoactor) && from != "cluster" && from != "actors" {
				t.Errorf("%s must not import %s: whoever replaces it should find it in cluster and actors only", p.ImportPath, i)
			}
			if !strings.HasPrefix(i, module+"/") {
				continue
			}
			if to, _ := part(i); to != from && !slices.Contains(arrows[from], to) {
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
		}
	}
}

func TestPurePackages(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		forbidden, isPure := pure[strings.TrimPrefix(p.ImportPath, module+"/")]
		if !isPure {
			continue
		}
		for _, i := range p.Imports {
			_, ours := pure[strings.TrimPrefix(i, module+"/")]
			if first, _, _ := strings.Cut(i, "/"); strings.Contains(first, ".") && !ours {
				t.Errorf("%s must not import %s: it keeps to the standard library, and to what is as pure", p.ImportPath, i)
			}
			if slices.Contains(forbidden, i) {
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
		}
	}
}

// TestLockReadsNoClock looks for what an import cannot show: `now` is a parameter of the kernel.
func TestLockReadsNoClock(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../lock/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	clock := regexp.MustCompile(`time\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)\(`)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		code, err := os.ReadFile(f)
		require.NoError(t, err)
		if found := clock.Find(code); found != nil {
			t.Errorf("%s reads a clock: %s", f, found)
		}
	}
}
