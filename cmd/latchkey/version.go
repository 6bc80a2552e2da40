package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

type versionCommand struct{}

// versionFlag is the command as a flag, which is what people try first.
type versionFlag bool

// BeforeReset is called by kong before it asks for a command.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	if err := (versionCommand{}).Run(terminal{app.Stdout}); err != nil {
		return err
	}
	app.Exit(0)
	return nil
}

// Run prints the version, what it was built with, and for what.
func (versionCommand) Run(out terminal) error {
	_, err := fmt.Fprintf(out, "latchkey %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// buildVersion is what make said, else what go install or the working copy says.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}
