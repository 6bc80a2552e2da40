// Package dose says how often the tests make a fault happen: a few times in `make test`, which has to be over soon, and as
// often as it takes to be sure in `make faults`.
package dose

import (
	"os"
	"strconv"
)

// Variable is the environment variable that asks for the doses of `make faults`. Its value is their part: 1 for all of it, 0.1
// for a tenth, which still is no less than in `make test`.
const Variable = "LATCHKEY_FAULTS"

// Of gives a dose from those of `make test` and `make faults`.
func Of(test, faults int) int {
	part, err := strconv.ParseFloat(os.Getenv(Variable), 64)
	if err != nil {
		return test
	}
	return max(test, int(part*float64(faults)))
}
