package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/client"
)

const (
	used = `{"cursor":"c1","position":7,"aggregateType":"lock","aggregateId":"42","version":3,"type":"TempKeyUsed","timestamp":"2026-05-01T10:00:00.000Z",` +
		`"orgId":"hotel-9","event":{"tempKeyUuid":"k1","lockId":42,"lockUuid":"u","usedCount":2,"timestamp":"2026-05-01T10:00:00.000Z"},"by":"guest","byType":"guest"}` + "\n"
	opened   = `{"cursor":"c2","type":"LockOpened","version":5,"timestamp":"2026-05-01T10:00:01.000Z","event":{"tempKeyUuids":["k1"]}}` + "\n"
	complete = `{"cursor":"c3","complete":true}` + "\n"
)

func exports(body string) func(*http.Request) (*http.Response, error) {
	return says(200, body, "Content-Type", "application/x-ndjson")
}

// broken is an answer whose connection breaks after a body.
func broken(body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		answer, err := exports("")(r)
		answer.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), errReader{}))
		return answer, err
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestEventsAreRead(t *testing.T) {
	t.Parallel()
	s := &script{steps: steps{exports(used + opened + complete)}}
	var events []*client.ExportedEvent
	end, err := s.client(t).ReadOrganizationEvents(t.Context(), "hotel-9", "c0", func(e *client.ExportedEvent) error {
		events = append(events, e)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, client.ExportEnd{Cursor: "c3", Complete: true}, end)
	require.Equal(t, "c0", s.calls[0].URL.Query().Get("cursor"))
	require.Len(t, events, 2)
	require.Equal(t, "c1", events[0].Cursor)
	require.EqualValues(t, 7, events[0].Position)
	require.Equal(t, "TempKeyUsed", events[0].Type)
	require.Equal(t, client.EventRecordByTypeGuest, *events[0].ByType)
	var data client.TempKeyUsedData
	require.NoError(t, json.Unmarshal(events[0].Event, &data))
	require.EqualValues(t, 2, data.UsedCount)

	// The generated calls give the lines as they are.
	all, err := (&script{steps: steps{exports(used + complete)}}).client(t).ExportLockEventsWithResponse(t.Context(), 42, nil)
	require.NoError(t, err)
	require.Equal(t, used+complete, string(all.Body))
}

// What was cut off is no end, and what came whole before is not asked for again.
func TestAnExportThatWasCutOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer       func(*http.Request) (*http.Response, error)
		cursor, want string
		events       int
	}{
		{exports(used + opened), "c2", "cut off", 2},
		{exports(used + opened[:30]), "c1", "cut off", 1},
		{broken(used + opened[:30]), "c1", "unexpected EOF", 1},
		{exports(used + "<html>\n" + complete), "c1", "cannot be read", 1},
		{exports(""), "c0", "cut off", 0},
		{says(200, used+complete), "c0", "no export", 0},
		{says(307, "", "Location", "https://evil.example/"), "c0", "no export", 0},
		{says(404, `{"reason":"lock-not-found"}`), "c0", "lock-not-found", 0},
	} {
		events := 0
		end, err := (&script{steps: steps{c.answer}}).client(t).ReadLockEvents(t.Context(), 42, "c0", func(*client.ExportedEvent) error {
			events++
			return nil
		})
		require.ErrorContains(t, err, c.want)
		require.Equal(t, c.want == "cut off" || c.want == "unexpected EOF", errors.Is(err, client.ErrCutOff))
		require.Equal(t, client.ExportEnd{Cursor: c.cursor}, end)
		require.Equal(t, c.events, events)
	}
	// An answer of which no line came is asked for again.
	s := &script{steps: steps{broken(used[:30]), exports(complete)}}
	end, err := s.client(t).ReadLockEvents(t.Context(), 42, "", nil)
	require.NoError(t, err)
	require.True(t, end.Complete)

	// So is an event that the program could not take, the next time.
	full := errors.New("the disk is full")
	end, err = (&script{steps: steps{exports(used + opened + complete)}}).client(t).ReadLockEvents(t.Context(), 42, "c0", func(e *client.ExportedEvent) error {
		if e.Cursor == "c2" {
			return full
		}
		return nil
	})
	require.ErrorIs(t, err, full)
	require.Equal(t, "c1", end.Cursor)
}

// endless is an answer that does not end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAnAnswerThatIsTooLargeIsAnError(t *testing.T) {
	t.Parallel()
	s := &script{steps: steps{func(r *http.Request) (*http.Response, error) {
		answer, err := says(200, "")(r)
		answer.Body = io.NopCloser(endless{})
		return answer, err
	}}}
	c, err := client.New(client.Options{Server: "http://keys.example", HTTP: &http.Client{Transport: s}, Tries: 1})
	require.NoError(t, err)
	_, err = c.GetBasicInfoWithResponse(t.Context(), 42)
	require.ErrorContains(t, err, "bytes or more")
}

// A program that follows what happens keeps the cursor with what it makes of the events, and asks again now and then.
func ExampleClientWithResponses_ReadOrganizationEvents() {
	follow := func(ctx context.Context, c *client.ClientWithResponses, cursor string, store func(*client.ExportedEvent) error) {
		for ctx.Err() == nil {
			end, err := c.ReadOrganizationEvents(ctx, "hotel-9", cursor, store)
			cursor = end.Cursor
			if err != nil {
				log.Print(err) // it is tried again from there
			}
			if err == nil && !end.Complete {
				continue // there is more
			}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
	}
	_ = follow
}
