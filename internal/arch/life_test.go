package arch_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLifeOfAnOpen finds each function of the table in ARCHITECTURE.md in a file that its row names, and something in each of these files.
func TestLifeOfAnOpen(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| step | function | file |\n|---|---|---|\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	require.GreaterOrEqual(t, len(rows), 8)
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		require.Len(t, cells, 3, row)
		code := make(map[string]string)
		for file := range strings.SplitSeq(cells[2], ", ") {
			content, err := os.ReadFile("../../" + file)
			require.NoError(t, err)
			code[file] = string(content)
		}
		used := make(map[string]bool)
		for name := range strings.SplitSeq(cells[1], ", ") {
			name = strings.Trim(name, "`")
			function, there := regexp.MustCompile(`(?m)^func (\([^)]*\) )?`+regexp.QuoteMeta(name)+`[\[(]`), false
			for file, content := range code {
				if function.MatchString(content) {
					there, used[file] = true, true
				}
			}
			require.True(t, there, "%s is in none of %s", name, cells[2])
		}
		require.Len(t, used, len(code), "a file of %q has none of its functions", row)
	}
}
