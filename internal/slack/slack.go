// Package slack has the kernel wake this process's timers up to a millisecond late.
//
// While a program does anything, the monitor of Go's runtime sleeps for 20 us at a time, with the kernel's usual slack of 50 us,
// to see whether a system call takes long. If one does, the runtime takes the processor away from it, and wakes another thread
// that can use it. A server whose journal syncs a file a thousand times a second pays for that at each commit, and again when
// the thread that was in the system call looks for a processor. With this slack a sync is over before the monitor has looked
// twice: docs/adr/0026-cost-of-an-open.md has what that is worth. Nothing that we promise is measured in such short times.
package slack
