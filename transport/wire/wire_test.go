package wire_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport/wire"
)

// parser is what all the payloads have besides Append.
type parser interface {
	Parse([]byte) error
}

// The payloads as docs/protocol.md shows them; each is written again as it was read.
func TestPayloadsReadAndWriteAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		into parser
		want parser
	}{
		{
			`{"bootId":"b7","mono":812345,"firmware":"1.4.2","caps":["deadline","journal"],"lastSeq":411,"reported":{"bolt":"locked","door":"closed","battery":78,"config":9}}`,
			new(wire.Hello),
			&wire.Hello{
				BootID: "b7", Mono: 812345, Firmware: "1.4.2", Caps: []string{wire.CapDeadline, wire.CapJournal}, LastSeq: 411,
				Reported: wire.Reported{Bolt: "locked", Door: "closed", Battery: 78, Config: 9},
			},
		},
		{
			`{"session":"s55","epoch":1042,"time":"2026-05-01T10:00:00.000Z","heartbeatMs":25000,"ackSeq":409,"resolve":["c8f1"]}`,
			new(wire.HelloResult),
			&wire.HelloResult{
				Session: "s55", Epoch: 1042, Time: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC), HeartbeatMs: 25000, AckSeq: 409,
				Resolve: []string{"c8f1"},
			},
		},
		{
			`{"commandId":"c901","session":"s55","epoch":1043,"bootId":"b7","notAfterMono":845200,"pulseMs":3000}`,
			new(wire.Open),
			&wire.Open{CommandID: "c901", Session: "s55", Epoch: 1043, BootID: "b7", NotAfterMono: 845200, PulseMs: 3000},
		},
		{
			`{"commandId":"c901","outcome":"opened","bolt":"unlocked","mono":842101}`,
			new(wire.OpenResult),
			&wire.OpenResult{CommandID: "c901", Bolt: "unlocked", Mono: 842101},
		},
		{
			`{"commandId":"c902","session":"s55","epoch":1044,"bootId":"b7","notAfterMono":845200,"keyUuid":"04A1 \"ä\"","keyIndex":0}`,
			new(wire.Key),
			&wire.Key{CommandID: "c902", Session: "s55", Epoch: 1044, BootID: "b7", NotAfterMono: 845200, KeyUUID: "04A1 \"ä\"", KeyIndex: new(int64)},
		},
		{
			`{"commandId":"c902","session":"s55","epoch":1044,"bootId":"b7","notAfterMono":0,"keyUuid":"k"}`,
			new(wire.Key),
			&wire.Key{CommandID: "c902", Session: "s55", Epoch: 1044, BootID: "b7", KeyUUID: "k"},
		},
		{`{"commandId":"c902","outcome":"done"}`, new(wire.KeyResult), &wire.KeyResult{CommandID: "c902"}},
		{`{"config":10,"relockMs":5000}`, new(wire.Config), &wire.Config{Config: 10, RelockMs: 5000}},
		{`{"config":10}`, new(wire.ConfigResult), &wire.ConfigResult{Config: 10}},
		{
			`{"session":"s55","epoch":1042,"time":"2026-05-01T10:00:00.000Z","heartbeatMs":25000,"ackSeq":409,"resolve":[],"desired":{"config":10,"relockMs":5000}}`,
			new(wire.HelloResult),
			&wire.HelloResult{
				Session: "s55", Epoch: 1042, Time: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC), HeartbeatMs: 25000, AckSeq: 409,
				Desired: &wire.Config{Config: 10, RelockMs: 5000},
			},
		},
		{`{"commandId":"c901","executed":false}`, new(wire.Details), &wire.Details{CommandID: "c901", Executed: wire.NotExecuted}},
		{`{"commandId":"c901","executed":true}`, new(wire.Details), &wire.Details{CommandID: "c901", Executed: wire.WasExecuted}},
		{`{"executed":"unknown"}`, new(wire.Details), &wire.Details{}},
		{`{"commandIds":["c8f1","c901"]}`, new(wire.CommandStatus), &wire.CommandStatus{CommandIDs: []string{"c8f1", "c901"}}},
		{`{"c8f1":"moved"}`, new(wire.Statuses), &wire.Statuses{"c8f1": wire.StatusMoved}},
		{`{"c8f1":"not-seen","c901":"executed"}`, new(wire.Statuses), &wire.Statuses{"c8f1": wire.StatusNotSeen, "c901": wire.StatusExecuted}},
		{
			`{"items":[{"seq":412,"type":"door","value":"open","mono":842700},{"seq":413,"type":"battery","value":"77","mono":842701}]}`,
			new(wire.Events),
			&wire.Events{Items: []wire.Event{
				{Seq: 412, Type: "door", Value: "open", Mono: 842700},
				{Seq: 413, Type: "battery", Value: "77", Mono: 842701},
			}},
		},
		{`{"ackSeq":412}`, new(wire.Ack), &wire.Ack{AckSeq: 412}},
		{`{"mono":865000}`, new(wire.Heartbeat), &wire.Heartbeat{Mono: 865000}},
		{`{"retryAfterMs":1500}`, new(wire.RetryAfter), &wire.RetryAfter{Pause: 1500 * time.Millisecond}},
	} {
		require.NoError(t, c.into.Parse([]byte(c.text)), c.text)
		require.Equal(t, c.want, c.into)
		require.Equal(t, c.text, string(c.into.(wire.Payload).Append(nil)))
	}
}

func TestPayloadsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		into parser
		text string
		says string
	}{
		{new(wire.Hello), `{"mono":1}`, "bootId is missing"},
		{new(wire.Hello), `{"bootId":"","mono":1}`, "empty string"},
		{new(wire.Hello), `{"bootId":"b"}`, "mono is missing"},
		{new(wire.Hello), `{"bootId":"` + strings.Repeat("b", 65) + `","mono":1}`, "too long"},
		{new(wire.Hello), `{"bootId":"b","mono":1,"caps":{}}`, "expected '['"},
		{new(wire.HelloResult), `{"session":"s1","heartbeatMs":0}`, "heartbeatMs"},
		{new(wire.HelloResult), `{"session":"s1","heartbeatMs":1,"time":"today"}`, "RFC 3339"},
		{new(wire.Open), `{"commandId":"c","session":"s","epoch":1,"bootId":"b"}`, "notAfterMono is missing"},
		{new(wire.Open), `{"commandId":"c","session":"s","epoch":1,"bootId":"b","notAfterMono":-1}`, "whole number"},
		{new(wire.OpenResult), `{"commandId":"c","outcome":"maybe"}`, "outcome"},
		{new(wire.OpenResult), `{"commandId":"c"}`, "outcome is missing"},
		{new(wire.Details), `{"executed":"perhaps"}`, "executed"},
		{new(wire.Details), `{"executed":null}`, "executed"},
		{new(wire.CommandStatus), `{}`, "commandIds is missing"},
		{new(wire.Statuses), `{"c":"gone"}`, "unknown status"},
		{new(wire.Events), `{"items":[]}`, "items is missing"},
		{new(wire.Events), `{"items":[{"seq":2,"type":"door"},{"seq":2,"type":"door"}]}`, "seq does not grow"},
		{new(wire.Events), `{"items":[{"seq":1,"type":"door","value":1}]}`, "expected '\"'"},
		{new(wire.Heartbeat), `{"Mono":1}`, "mono is missing"},
		{new(wire.Heartbeat), `{"mono":1.5}`, "whole number"},
		{new(wire.Heartbeat), `{"mono":1e3}`, "whole number"},
		{new(wire.Heartbeat), `{"mono":01}`, "leading zero"},
		{new(wire.Heartbeat), `{"mono":9007199254740992}`, "too large"},
		{new(wire.Heartbeat), `{"mono":"1"}`, "whole number"},
		{new(wire.Heartbeat), `{"mono":1,}`, "expected '\"'"},
		{new(wire.Heartbeat), `{"mono":1}}`, "after the end"},
		{new(wire.Heartbeat), `{"mono":1,"x":` + strings.Repeat("[", 40) + `}`, "nested"},
		{new(wire.Heartbeat), ``, "expected '{'"},
		{new(wire.RetryAfter), `{"retryAfterMs":3600001}`, "hour"},
		{new(wire.Key), `{"commandId":"c","session":"s","epoch":1,"bootId":"b","notAfterMono":1}`, "keyUuid is missing"},
		{new(wire.Key), `{"commandId":"c","session":"s","epoch":1,"bootId":"b","notAfterMono":1,"keyUuid":"k","keyIndex":-1}`, "whole number"},
		{new(wire.Key), `{"commandId":"c","session":"s","epoch":1,"bootId":"b","notAfterMono":1,"keyUuid":"` + strings.Repeat("k", 801) + `"}`, "too long"},
		{new(wire.Key), `{"commandId":"c","session":"s","bootId":"b","notAfterMono":1,"keyUuid":"k"}`, "epoch is missing"},
		{new(wire.KeyResult), `{"commandId":"c","outcome":"opened"}`, "outcome"},
		{new(wire.KeyResult), `{"commandId":"c"}`, "outcome is missing"},
		{new(wire.Config), `{"relockMs":5000}`, "config is missing"},
		{new(wire.Config), `{"config":0}`, "config is missing"},
		{new(wire.ConfigResult), `{}`, "config is missing"},
		{new(wire.HelloResult), `{"session":"s1","heartbeatMs":1,"desired":{}}`, "config is missing"},
	} {
		err := c.into.Parse([]byte(c.text))
		require.ErrorIs(t, err, wire.ErrFormat, c.text)
		require.ErrorContains(t, err, c.says, c.text)
	}
}

func TestUnknownMembersArePassedOver(t *testing.T) {
	t.Parallel()
	var h wire.Heartbeat
	require.NoError(t, h.Parse([]byte(` { "x" : [ 1 , -2.5e+7 , { "y" : null , "mono" : "\"]" } , [ ] , { } ] , "mono" : 7 , "z" : false } `)))
	require.Equal(t, int64(7), h.Mono)
}

func TestStringsKeepWhatTheySay(t *testing.T) {
	t.Parallel()
	const odd = "a\"b\\c\n\x01ü漢🔑/"
	in := wire.Events{Items: []wire.Event{{Seq: 1, Type: "door", Value: odd}}}
	var out wire.Events
	require.NoError(t, out.Parse(in.Append(nil)))
	require.Equal(t, in, out)

	var h wire.Hello
	require.NoError(t, h.Parse([]byte(`{"bootId":"\ud83d\udd11\/A","mono":1}`)))
	require.Equal(t, "🔑/A", h.BootID)

	in.Items[0].Value = "a\xffb"
	require.NoError(t, out.Parse(in.Append(nil)))
	require.Equal(t, "a\uFFFDb", out.Items[0].Value)
}
