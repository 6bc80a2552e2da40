// Command threads takes the slack, and prints those of a thread that was there before and of one that was started after it. With
// an argument it has another slack than the usual one before.
package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchkey/latchkey/internal/slack"
)

func main() {
	runtime.LockOSThread()
	given := 50 * time.Microsecond
	if len(os.Args) > 1 {
		given = 200 * time.Microsecond
	}
	must(unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(given), 0, 0, 0))
	before := thread()
	before <- struct{}{}
	<-before
	must(slack.Take())
	after := thread()
	for _, t := range []chan struct{}{before, after} {
		t <- struct{}{}
		<-t
	}
}

// thread is a new one, which prints its slack whenever it is asked.
func thread() chan struct{} {
	ask := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		for range ask {
			ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
			must(err)
			fmt.Println(time.Duration(ns))
			ask <- struct{}{}
		}
	}()
	return ask
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
