// Package dose says how often the tests make a fault happen: a few times in `make test`, which has to be over soon, and as
// often as it takes to be sure in `make faults`.
package dose

import (
	"os"
	"strconv"
	"time"
)

// Variable is the environment variable that asks for the doses of `make faults`. Its value is their part: 1 for all of it, 0.1
// for a tenth, which still is no less than in `make test`.
const Variable = "LATCHKEY_FAULTS"

// Of gives a dose from those of `make test` and `make faults`.
func Of(test, faults int) int {
	part, asked := part()
	if !asked {
		return test
	}
	return max(test, int(part*float64(faults)))
}

// Lasting gives how long a fault lasts from what it is in `make test` and `make faults`. A part of the doses is fewer faults, not
// shorter ones: what a minute breaks, six seconds may not.
func Lasting(test, faults time.Duration) time.Duration {
	if _, asked := part(); !asked {
		return test
	}
	return faults
}

// part is how much of the doses of `make faults` is asked for, if any.
func part() (part float64, asked bool) {
	part, err := strconv.ParseFloat(os.Getenv(Variable), 64)
	return part, err == nil
}
