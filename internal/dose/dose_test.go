package dose_test

import (
	"testing"
	"time"

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

// Not parallel: it changes the environment.
func TestAPartOfTheDosesIsFewerFaultsNotShorterOnes(t *testing.T) {
	for part, want := range map[string]time.Duration{"": 10 * time.Second, "1": time.Minute, "0.05": time.Minute, "yes": 10 * time.Second} {
		t.Setenv(dose.Variable, part)
		require.Equal(t, want, dose.Lasting(10*time.Second, time.Minute), part)
	}
}
