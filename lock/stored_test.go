package lock

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/form"
)

func TestWhatIsStored(t *testing.T) {
	t.Parallel()
	types := map[string]any{
		"codec of snapshots": StateCodec, "snapshot": State{},
		"snapshot.tempKeys": []*TempKey{}, "snapshot.requests": []*request{}, "snapshot.once": []*remembered{}, // which write themselves
	}
	for typ, create := range eventTypes {
		types["record "+typ] = create()
	}
	form.Check(t, *update, types)
}

// A program from before a field would act as if nobody had set it, such as the hours of a key.
func TestWhatANewerProgramWroteIsRefused(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		typ, data, err := MarshalEvent(e)
		require.NoError(t, err)
		_, err = UnmarshalEvent(typ, append([]byte(`{"later":1,`), data[1:]...))
		require.ErrorIs(t, err, ErrNewer, typ)
		require.ErrorContains(t, err, `"later"`)
		_, err = UnmarshalEvent(typ, append(data, "{}"...))
		require.Error(t, err, typ)
	}
	for _, data := range []string{
		`{"later":1}`, `{"tempKeys":[{"later":1}]}`, `{"tempKeys":[{"door":{"later":1}}]}`, `{"tempKeys":[{"schedule":{"rules":[{"later":1}]}}]}`,
		`{"requests":[{"later":1}]}`, `{"once":[{"later":1}]}`, `{"keyWork":{"jobs":[{"later":1}]}}`, `{"commands":[{"requests":[{"later":1}]}]}`,
	} {
		_, err := UnmarshalState([]byte(data))
		require.ErrorIs(t, err, ErrNewer, data)
	}
}

func TestSnapshotsOfNewerProgramsAreNotTaken(t *testing.T) {
	t.Parallel()
	require.True(t, TakesSnapshot(StateCodec))
	for codec, own := range map[string]int{"lock-state-2": 2, "lock-state-3": 3} {
		require.True(t, takes(codec, own), codec)
		require.False(t, takes(codec, own-1), codec)
	}
	require.True(t, takes("lock-state-2", 3), "what an older program left out is not in the records up to there")
	for _, codec := range []string{"lock-state-1", "lock-state-0", "lock-state-", "lock-state-x", "2", "", "tenant-state-2"} {
		require.False(t, takes(codec, 3), codec)
	}
}
