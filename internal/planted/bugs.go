// Package planted holds bugs that are put into the product on purpose, so that the tests can show that they would find them. A
// program is without any unless it is built with the tag `planted`; then the environment chooses one. `make planted` lets
// the tests meet each of them, and fails when one gets through.
package planted

// Bug is the name of a bug.
type Bug string

// The bugs, each where its name is used.
const (
	NoCompareAndSet        Bug = "no-compare-and-set"         // an append goes behind whatever is there
	AcknowledgeBeforeFsync Bug = "acknowledge-before-fsync"   // a reply does not wait for the disk
	NoDeadlineCheck        Bug = "no-deadline-check"          // an open leaves however late, and lives on
	ResendOpen             Bug = "resend-open"                // a device that comes back is told again, instead of asked
	RefundUnknown          Bug = "refund-unknown"             // a use comes back although nobody knows what the motor did
	PlacementWithoutOwner  Bug = "placement-without-owner"    // a node runs what it is asked to, also what is another's
	WatchWithoutRevision   Bug = "watch-without-revision"     // who joins between the list and the watch is missed
	PositionsWithoutOrder  Bug = "positions-without-gap-rule" // positions come from a sequence, in no order of commits
)
