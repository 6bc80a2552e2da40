package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
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

// section joins the names of a file's sections to the name of a flag.
const section = "-"

// setting tells a flag that sets something from one that asks something.
func setting(f *kong.Flag) bool { return f.Name != "help" && f.Name != "version" }

// NameVariables is the option of a kong parser that lets every flag of a server be given in the environment too. Flags of other commands
// have a variable only if their tag names one: a server's settings are often in the environment of who runs them, where what is meant for
// the server must not mean something else to another command.
func NameVariables() kong.Option {
	return kong.PostBuild(func(k *kong.Kong) error {
		return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
			if command, ok := node.(*kong.Node); ok && isServer(command) {
				for _, flag := range command.Flags {
					if setting(flag) {
						flag.Envs = []string{EnvPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))}
						flag.Tag.Envs = flag.Envs
					}
				}
			}
			return next(nil)
		})
	})
}

// isServer tells whether a command has the flags of Server.
func isServer(command *kong.Node) bool {
	return slices.ContainsFunc(command.Flags, func(f *kong.Flag) bool { return f.Target.Type() == reflect.TypeFor[File]() })
}

// BeforeResolve is called by kong when it knows the command line and the environment: what they leave open may be in the file.
func (s *Server) BeforeResolve(c *kong.Context) error {
	if err := s.checkVariables(c, os.Environ()); err != nil {
		return err
	}
	known := make(map[string]bool)
	path := ""
	for _, group := range c.Selected().AllFlags(true) {
		for _, f := range group {
			if f.Name == "config" {
				path = string(c.FlagValue(f).(File))
			} else if setting(f) {
				known[f.Name] = true
			}
		}
	}
	if path == "" {
		return nil
	}
	values, err := load(path, known)
	if err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	c.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if fromEnvironment(flag) {
			return nil, nil
		}
		return value(values.Get(flag.Name)), nil
	}))
	return nil
}

// load reads the file, and refuses keys that are no flags of the command.
func load(path string, known map[string]bool) (*koanf.Koanf, error) {
	values := koanf.New(section)
	if err := values.Load(file.Provider(path), yaml.Parser()); err != nil {
		return nil, err
	}
	var unknown []string
	for _, key := range values.Keys() {
		if known[key] {
			continue
		}
		if meant, near := nearest(key, slices.Sorted(maps.Keys(known))); near {
			key += " (did you mean " + meant + "?)"
		}
		unknown = append(unknown, key)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("unknown keys: %s; a key is the name of a flag, without the dashes in front", strings.Join(unknown, ", "))
	}
	return values, nil
}

// value turns a value of the file into what kong takes for one.
func value(v any) any {
	switch v := v.(type) {
	case nil, map[string]any: // a map is a section that is named like a flag; its keys are asked for one by one
		return nil
	case string, []any:
		return v
	default:
		return fmt.Sprint(v)
	}
}

func fromEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Envs, func(name string) bool {
		_, set := os.LookupEnv(name)
		return set
	})
}
