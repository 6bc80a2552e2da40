// Package sim is a fleet of simulated locks. Each Device speaks latchkey.v1 over a real WebSocket and behaves as good
// firmware does: it journals a command's ID before the motor moves, checks boot, session, epoch and deadline right
// before, keeps its own clock, reports what its bolt and door do, and reconnects with jitter.
//
// On demand it behaves worse. Faults make a device lose its socket, reboot in the middle of an open, refuse, jam,
// answer twice or send garbage; a Proxy between device and server freezes, holds and resets real TCP connections.
//
// The motors keep their own record of every movement (Recorder), apart from what the firmware tells the server. It is
// what the fault tests hold against the journal: how often a door really opened, and how long before its deadline.
//
// A Fleet runs many devices in one process. A waiting device has no goroutine, a connected one has one, and all
// timers are the runtime's, so that ten thousand locks fit into a small machine.
package sim
