// Package abreast lets more tests of a package run at the same time than there are processors. It is for packages whose tests mostly wait, for
// leases, timeouts and other processes: by default a test that waits holds a slot in which another could run. Where tests work or measure
// time, as those of actors, api and tests do, they would only disturb each other.
package abreast

import (
	"flag"
	"runtime"
	"strconv"
)

const (
	tests    = 4
	parallel = "test.parallel" // -parallel, as the flag is called in a test
)

// Tests is called by TestMain. It changes nothing when -parallel is given.
func Tests() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == parallel })
	if given || runtime.GOMAXPROCS(0) >= tests {
		return
	}
	if err := flag.Set(parallel, strconv.Itoa(tests)); err != nil {
		panic(err)
	}
}
