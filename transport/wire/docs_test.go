package wire_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport/wire"
)

// Every frame that docs/protocol.md shows is one that the parsers take.
func TestFramesOfTheSpecification(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/protocol.md")
	require.NoError(t, err)
	calls := make(map[string]string) // action by ID
	frames := 0
	for i, block := range strings.Split(string(text), "\n```") {
		if i%2 == 0 {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(block, "\n     ", "")) {
			side, frame, ok := strings.Cut(strings.TrimSpace(line), " ")
			if !ok || side != ">" && side != "<" {
				continue
			}
			f, err := wire.ParseFrame([]byte(frame))
			require.NoError(t, err, frame)
			frames++
			switch f.Kind {
			case wire.Call:
				calls[string(f.ID)] = string(f.Action)
				require.NoError(t, payloadOf(string(f.Action)).Parse(f.Payload), frame)
			case wire.Result:
				require.Contains(t, calls, string(f.ID), frame)
				require.NoError(t, resultOf(calls[string(f.ID)]).Parse(f.Payload), frame)
			case wire.Error:
				require.NoError(t, new(wire.Details).Parse(f.Details), frame)
			}
		}
	}
	require.GreaterOrEqual(t, frames, 11)
}

func payloadOf(action string) parser {
	return map[string]parser{
		wire.ActionHello: new(wire.Hello), wire.ActionHeartbeat: new(wire.Heartbeat), wire.ActionEvents: new(wire.Events),
		wire.ActionOpen: new(wire.Open), wire.ActionCommandStatus: new(wire.CommandStatus),
		wire.ActionAddKey: new(wire.Key), wire.ActionRemoveKey: new(wire.Key), wire.ActionWriteKey: new(wire.Key), wire.ActionSetConfig: new(wire.Config),
	}[action]
}

func resultOf(action string) parser {
	return map[string]parser{
		wire.ActionHello: new(wire.HelloResult), wire.ActionHeartbeat: new(empty), wire.ActionEvents: new(wire.Ack),
		wire.ActionOpen: new(wire.OpenResult), wire.ActionCommandStatus: new(wire.Statuses),
		wire.ActionAddKey: new(wire.KeyResult), wire.ActionRemoveKey: new(wire.KeyResult), wire.ActionWriteKey: new(wire.KeyResult),
		wire.ActionSetConfig: new(wire.ConfigResult),
	}[action]
}

// empty takes any object.
type empty struct{}

func (empty) Parse([]byte) error { return nil }
