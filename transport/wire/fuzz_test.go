package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport/wire"
)

// What ParseFrame accepts is JSON in the eyes of the standard library too.
func FuzzParseFrame(f *testing.F) {
	for _, s := range []string{
		`[2,"b9","Heartbeat",{"mono":865000}]`, `[3,"m7",{"a":[1,-2.5e3,null,true,{"b":"\u00e9\n"}]}]`,
		`[4,"m7","Expired","deadline passed",{"commandId":"c901","executed":false}]`, ` [ 2 , "a" , "Open" , { } ] `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := wire.ParseFrame(b)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrFormat)
			return
		}
		require.True(t, json.Valid(b))
		var items []json.RawMessage
		require.NoError(t, json.Unmarshal(b, &items))
		var id string
		require.NoError(t, json.Unmarshal(items[1], &id))
		require.Equal(t, id, string(frame.ID))
	})
}

// fuzzPayload checks that what a parser accepts is JSON, and reads the same after it was written again.
func fuzzPayload[T any, P interface {
	*T
	parser
	wire.Payload
}](f *testing.F, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second T
		if err := P(&first).Parse(b); err != nil {
			require.ErrorIs(t, err, wire.ErrFormat)
			return
		}
		text := P(&first).Append(nil)
		require.True(t, json.Valid(text), "%s", text)
		require.NoError(t, P(&second).Parse(text), "%s", text)
		require.Equal(t, string(text), string(P(&second).Append(nil)))
	})
}

func FuzzKey(f *testing.F) {
	fuzzPayload[wire.Key](f, `{"commandId":"c902","session":"s55","epoch":1044,"bootId":"b7","notAfterMono":845200,"keyUuid":"k","keyIndex":3}`)
}

func FuzzKeyResult(f *testing.F) {
	fuzzPayload[wire.KeyResult](f, `{"commandId":"c902","outcome":"done"}`)
}

func FuzzConfig(f *testing.F) {
	fuzzPayload[wire.Config](f, `{"config":10,"relockMs":5000}`)
}

func FuzzConfigResult(f *testing.F) { fuzzPayload[wire.ConfigResult](f, `{"config":10}`) }

func FuzzHello(f *testing.F) {
	fuzzPayload[wire.Hello](f, `{"bootId":"b7","mono":812345,"firmware":"1.4.2","caps":["deadline"],"lastSeq":411,"reported":{"bolt":"locked","battery":78,"config":9}}`)
}

func FuzzHelloResult(f *testing.F) {
	fuzzPayload[wire.HelloResult](f, `{"session":"s55","epoch":1042,"time":"2026-05-01T10:00:00Z","heartbeatMs":25000,"ackSeq":409,"resolve":["c8f1"]}`)
}

func FuzzOpen(f *testing.F) {
	fuzzPayload[wire.Open](f, `{"commandId":"c901","session":"s55","epoch":1043,"bootId":"b7","notAfterMono":845200,"pulseMs":3000}`)
}

func FuzzOpenResult(f *testing.F) {
	fuzzPayload[wire.OpenResult](f, `{"commandId":"c901","outcome":"opened","bolt":"unlocked","mono":842101}`)
}

func FuzzDetails(f *testing.F) {
	fuzzPayload[wire.Details](f, `{"commandId":"c901","executed":false}`, `{"executed":"unknown"}`)
}

func FuzzCommandStatus(f *testing.F) {
	fuzzPayload[wire.CommandStatus](f, `{"commandIds":["c8f1","c901"]}`)
}

func FuzzStatuses(f *testing.F) {
	fuzzPayload[wire.Statuses](f, `{"c8f1":"not-seen","c901":"executed","c902":"moved"}`)
}

func FuzzEvents(f *testing.F) {
	fuzzPayload[wire.Events](f, `{"items":[{"seq":412,"type":"door","value":"open","mono":842700}]}`)
}

func FuzzAck(f *testing.F) { fuzzPayload[wire.Ack](f, `{"ackSeq":412}`) }

func FuzzHeartbeat(f *testing.F) { fuzzPayload[wire.Heartbeat](f, `{"mono":865000}`) }

func FuzzRetryAfter(f *testing.F) { fuzzPayload[wire.RetryAfter](f, `{"retryAfterMs":1500}`) }
