//go:build planted

package planted

import "os"

// Variable is the environment variable that names the bug.
const Variable = "LATCHKEY_PLANTED"

var chosen = Bug(os.Getenv(Variable))

// Has tells whether this is the bug that the environment chose.
func Has(b Bug) bool { return b == chosen }
