package dose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
)

// Not parallel: it changes the environment.
func TestDoses(t *testing.T) {
	for part, want := range map[string]int{"": 3, "1": 100, "0.5": 50, "0.001": 3, "yes": 3} {
		t.Setenv(dose.Variable, part)
		require.Equal(t, want, dose.Of(3, 100), part)
	}
}
