package transport_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

// Firmware that does not know how to answer a question is asked it again for as long as it is connected. Its door opens all the same.
func TestQuestionsWithoutAnswersKeepNoOpenFromLeaving(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	config := func(number uint64) string {
		b.hub.Send(lockID, &lock.SendConfig{Session: b.session(), Config: lock.Config{Number: number, RelockMs: 9000}})
		f := c.read()
		require.Equal(t, wire.ActionSetConfig, string(f.Action))
		return string(f.ID)
	}
	var first string
	for n := range uint64(200) {
		if id := config(n + 1); first == "" {
			first = id
		}
		b.hub.Send(lockID, &lock.AskStatus{Session: b.session(), CommandIDs: []lock.CommandID{"c1"}})
		require.Equal(t, wire.ActionCommandStatus, string(c.read().Action))
	}
	b.hub.Send(lockID, sendOpen(b.session(), "c2", 5*time.Second))
	id, open := c.readOpen()
	require.Equal(t, "c2", open.CommandID)
	config(201)
	c.write(`[3,"` + id + `",{"commandId":"c2","outcome":"opened"}]`)
	require.True(t, awaitTold[*lock.AnswerOpen](t, b.grains).Opened)

	// The last ones can still be answered, the first ones are forgotten, and their answers with them.
	c.write(`[3,"` + first + `",{"config":1}]`)
	c.write(`[3,"` + config(202) + `",{"config":202}]`)
	require.Equal(t, uint64(202), awaitTold[*lock.AnswerConfig](t, b.grains).Number)
}

// Nor do commands without answers keep the device from being asked.
func TestCommandsWithoutAnswersKeepNoQuestionFromLeaving(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	for n := range 128 {
		b.hub.Send(lockID, sendOpen(b.session(), lock.CommandID(fmt.Sprint("c", n)), 5*time.Second))
		c.readOpen()
	}
	b.hub.Send(lockID, &lock.AskStatus{Session: b.session(), CommandIDs: []lock.CommandID{"c1"}})
	require.Equal(t, wire.ActionCommandStatus, string(c.read().Action))
}

// A device that answers each question once, however late, does nothing wrong.
func TestAnswersToForgottenQuestionsAreNoStrays(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	var ids []string
	const questions = 60
	for n := range questions {
		b.hub.Send(lockID, &lock.SendConfig{Session: b.session(), Config: lock.Config{Number: uint64(n + 1), RelockMs: 9000}})
		ids = append(ids, string(c.read().ID))
	}
	for n, id := range ids {
		c.write(fmt.Sprintf(`[3,"%s",{"config":%d}]`, id, n+1))
	}
	b.hub.Send(lockID, sendOpen(b.session(), "c2", 5*time.Second))
	id, open := c.readOpen()
	require.Equal(t, "c2", open.CommandID)
	c.write(`[3,"` + id + `",{"commandId":"c2","outcome":"opened"}]`) // after all of those answers
	require.True(t, awaitTold[*lock.AnswerOpen](t, b.grains).Opened)
	require.Zero(t, b.count("stray_answers_total"))
}
