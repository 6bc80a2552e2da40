package api

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func newTrace(client context.Context, in time.Duration) *trace {
	return &trace{client: client, deadline: time.Now().Add(in)}
}

func TestARequestEndsWithItsTime(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newTrace(t.Context(), time.Second)
			defer r.end()
			if asked {
				below, cancel := context.WithCancel(r)
				defer cancel()
				<-below.Done()
				require.ErrorIs(t, below.Err(), context.DeadlineExceeded)
				require.ErrorIs(t, context.Cause(below), context.DeadlineExceeded)
			} else {
				<-time.After(time.Second) // of the bubble
			}
			require.ErrorIs(t, r.Err(), context.DeadlineExceeded)
			<-r.Done()
			require.NoError(t, t.Context().Err())
		})
	}
}

func TestARequestEndsWithItsClient(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		client, leave := context.WithCancel(t.Context())
		r := newTrace(client, time.Hour)
		defer r.end()
		var below context.Context = r
		if asked {
			var cancel context.CancelFunc
			below, cancel = context.WithCancel(r)
			defer cancel()
		}
		require.NoError(t, below.Err())
		leave()
		<-r.Gone()
		<-below.Done()
		require.ErrorIs(t, below.Err(), context.Canceled)
		require.ErrorIs(t, r.Err(), context.Canceled)
	}
}

// What outlives its request is told so, whether or not it was there when that ended.
func TestWhatIsLeftOfARequestEndsWithIt(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		client, leave := context.WithCancel(t.Context())
		r := newTrace(client, time.Hour)
		if asked {
			require.NotNil(t, r.Done())
		}
		r.end()
		leave()
		below, cancel := context.WithCancel(r)
		defer cancel()
		<-below.Done()
		require.ErrorIs(t, below.Err(), context.Canceled)
		require.ErrorIs(t, r.Err(), context.Canceled)
	}
}
