package lock

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the output of the scripts in testdata anew")

// TestScripts runs the scripts in testdata. A line is a command, a comment (#) or, indented by four spaces, what the
// command before it led to: events as journaled, effects (->), the reply or the rejection (!). The clock of a script
// moves only when the script says so. The commands are in script_commands_test.go.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			got := runScript(t, string(want))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
				return
			}
			require.Equal(t, string(want), got)
		})
	}
}

const indent = "    "

func runScript(t *testing.T, text string) string {
	r := &script{t: t, now: clock(t, "10:00:00"), s: new(State)}
	var out strings.Builder
	for n, text := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(text, indent) {
			continue
		}
		out.WriteString(text + "\n")
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		r.line = n + 1
		r.run(text)
		for _, s := range r.out {
			out.WriteString(indent + s + "\n")
		}
		r.out = nil
	}
	return out.String()
}

// script is a shell without concurrency: what it decides is durable at once.
type script struct {
	t       *testing.T
	line    int
	now     time.Time
	s       *State
	journal []Event
	session Session // the newest, which commands mean when they name none
	out     []string
}

func (r *script) run(text string) {
	words := r.split(text)
	args := arguments{r: r, named: map[string]string{}}
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok {
			args.named[name] = value
		} else {
			args.plain = append(args.plain, w)
		}
	}
	do, ok := scriptCommands[words[0]]
	require.True(r.t, ok, "line %d: unknown command %s", r.line, words[0])
	do(r, &args)
	require.Empty(r.t, args.named, "line %d: unknown arguments", r.line)
}

// split cuts a line into words; a value with spaces stands in quotes.
func (r *script) split(text string) (words []string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " ") {
		end := strings.IndexAny(text, " \"")
		if end < 0 {
			end = len(text)
		}
		word := text[:end]
		if text = text[end:]; strings.HasPrefix(text, `"`) {
			quoted, err := strconv.QuotedPrefix(text)
			require.NoError(r.t, err, "line %d", r.line)
			value, err := strconv.Unquote(quoted)
			require.NoError(r.t, err, "line %d", r.line)
			word, text = word+value, text[len(quoted):]
		}
		words = append(words, word)
	}
	return words
}

// do decides a command, makes its events durable and prints what it led to.
func (r *script) do(c Command) {
	before, device := marshal(r.t, r.s), r.s.Device
	d, err := Decide(r.s, c, r.now)
	require.Equal(r.t, before, marshal(r.t, r.s), "line %d: Decide changed the state", r.line)
	require.Equal(r.t, device, r.s.Device, "line %d: Decide changed the device", r.line)
	if err != nil {
		require.Empty(r.t, d)
		r.print(describeError(err))
		return
	}
	for _, e := range d.Events {
		r.print(describeEvent(r.t, e))
		if Journaled(e) {
			r.journal = append(r.journal, stored(r.t, e))
		}
		Evolve(r.s, e)
	}
	for _, e := range d.Effects {
		r.print(describeEffect(e))
	}
	if len(d.SafeAfter) > 0 {
		r.print("the reply waits for %s, until %s at most", join(d.SafeAfter), instant(d.SafeAt))
	}
	for _, s := range describeReply(d.Reply) {
		r.print(s)
	}
	if len(r.out) == 0 {
		r.print("ok")
	}
}

// restart loads the state again, from the start and from a snapshot at each place, and forgets the live session.
func (r *script) restart() {
	live := marshal(r.t, r.s)
	for at := range len(r.journal) + 1 {
		s := new(State)
		for _, e := range r.journal[:at] {
			Evolve(s, e)
		}
		s, err := UnmarshalState([]byte(marshal(r.t, s)))
		require.NoError(r.t, err)
		for _, e := range r.journal[at:] {
			Evolve(s, e)
		}
		require.Equal(r.t, live, marshal(r.t, s), "line %d: the replay from version %d differs", r.line, at)
		r.s = s
	}
	Activate(r.s, r.now)
}
