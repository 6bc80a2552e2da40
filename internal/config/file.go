package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// File is the path of a YAML file that gives values to flags. A key is the flag's name, and sections are joined with
// a dash: `jwt-issuer: x` and `jwt: {issuer: x}` are the same.
type File string

// resolver gives kong the values of the file that --config or the environment names, for the command that is run.
type resolver struct {
	file *koanf.Koanf // what it says; nil until the first flag asks
}

// Options are what a kong parser needs to know for this package: the names in the environment, and the file.
func Options() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		return errors.Join(kong.PostBuild(nameVariables).Apply(k), kong.Resolvers(&resolver{}).Apply(k))
	})
}

// nameVariables lets every flag of every command be given in the environment too.
func nameVariables(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && flag.Name != "help" {
			flag.Envs = []string{EnvPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))}
			flag.Tag.Envs = flag.Envs
		}
		return next(nil)
	})
}

// Validate implements kong.Resolver. Unknown keys are looked for in Resolve, where the command is known.
func (*resolver) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. The environment wins over the file, so a flag that it sets is left alone.
func (r *resolver) Resolve(c *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "config" || fromEnvironment(flag) {
		return nil, nil
	}
	if err := r.load(c); err != nil || !r.file.Exists(flag.Name) {
		return nil, err
	}
	switch v := r.file.Get(flag.Name).(type) {
	case map[string]any:
		return nil, nil // a section that is named like a flag; its keys are looked at one by one
	case []any, string:
		return v, nil
	default:
		return fmt.Sprint(v), nil
	}
}

// load reads the file at the first flag that asks, and refuses keys that are no flags of the command.
func (r *resolver) load(c *kong.Context) error {
	if r.file != nil {
		return nil
	}
	r.file = koanf.New("-")
	var known []string
	path := ""
	for _, group := range c.Selected().AllFlags(true) {
		for _, f := range group {
			known = append(known, f.Name)
			if f.Name == "config" {
				path = string(c.FlagValue(f).(File))
			}
		}
	}
	if path == "" {
		return nil
	}
	loaded := koanf.New("-")
	if err := loaded.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	var unknown []string
	for _, key := range loaded.Keys() {
		if key == "config" || key == "help" || !slices.Contains(known, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("--config %s: unknown: %s (keys are the names of the flags)", path, strings.Join(unknown, ", "))
	}
	r.file = loaded
	return nil
}

func fromEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Envs, func(name string) bool {
		_, set := os.LookupEnv(name)
		return set
	})
}
