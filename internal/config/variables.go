package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// These variables hold secrets themselves. There are no such flags: other users of a machine can read flags.
const (
	SuperKeyVariable     = EnvPrefix + "_SUPER_KEY"
	EtcdPasswordVariable = EnvPrefix + "_ETCD_PASSWORD"
)

// ofKubernetes are the variables that pods get for a service that is called latchkey.
var ofKubernetes = regexp.MustCompile("^" + EnvPrefix + "_(SERVICE_(HOST|PORT)|PORT)(_[A-Z0-9_]+)?$")

// checkVariables refuses names that are nearly those of a setting, since what they were to set would not be set. Those that
// are unlike any may be somebody else's, and are kept for a warning.
func (s *Server) checkVariables(c *kong.Context, environ []string) error {
	const prefix = EnvPrefix + "_"
	known := []string{strings.TrimPrefix(SuperKeyVariable, prefix), strings.TrimPrefix(EtcdPasswordVariable, prefix)}
	_ = kong.Visit(c.Model, func(node kong.Visitable, next kong.Next) error { // it fails only when this function does
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				known = append(known, strings.TrimPrefix(name, prefix))
			}
		}
		return next(nil)
	})
	var errs []error
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		bare, ours := strings.CutPrefix(name, prefix)
		if !ours || slices.Contains(known, bare) || ofKubernetes.MatchString(name) {
			continue
		}
		if meant, near := nearest(bare, known); near {
			errs = append(errs, fmt.Errorf("$%s sets nothing: did you mean $%s%s?", name, prefix, meant))
		} else {
			s.strange = append(s.strange, name)
		}
	}
	return errors.Join(errs...)
}

// StrangeVariables are the names in the environment that begin like those of settings and are none.
func (s *Server) StrangeVariables() []string { return s.strange }

// A name is near another when few of its letters are wrong, missing or too many: farthest at most, and no more than one in
// lettersAWrong, for any three letters are within three of any other three.
const (
	farthest      = 3
	lettersAWrong = 3
)

// nearest finds the name that differs from the given one by the fewest letters.
func nearest(name string, known []string) (best string, near bool) {
	limit := min(farthest, len(name)/lettersAWrong)
	least := limit + 1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best, least <= limit
}

// distance is Levenshtein's: how many letters have to be changed, added or taken out to make one of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
