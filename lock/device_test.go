package lock

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a device says of its battery is shown as per cent; anything else is kept in the journal and not believed.
func TestBatteryIsPerCent(t *testing.T) {
	t.Parallel()
	r := Reported{Battery: 50}
	for value, want := range map[string]int{"0": 0, "100": 100, "101": 50, "-1": 50, "999999999": 50, "full": 50, "": 50} {
		next := r
		next.note(DeviceEvent{Type: "battery", Value: value})
		require.Equal(t, want, next.Battery, value)
	}
}
