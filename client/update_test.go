package client_test

import (
	"encoding/json"
	"io"
	"testing"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/client"
)

// A lock may have no owner, and nobody takes it from its owner by leaving something out.
func TestAnOwnerMayBeTakenAway(t *testing.T) {
	t.Parallel()
	for want, owner := range map[string]nullable.Nullable[string]{
		`{"userId":"ann"}`: nullable.NewNullableWithValue("ann"),
		`{"userId":null}`:  nullable.NewNullNullable[string](),
		`{"userId":""}`:    {}, // which the server refuses
	} {
		s := &script{steps: steps{succeeded}}
		_, err := s.client(t).SetOwnerWithResponse(t.Context(), 42, client.SetOwnerRequest{UserId: owner})
		require.NoError(t, err)
		body, err := io.ReadAll(s.calls[0].Body)
		require.NoError(t, err)
		require.JSONEq(t, want, string(body))
	}
}

// Whoever keeps a copy of a key has to tell a limit that was lifted from one that stayed.
func TestAnEventTellsThatALimitWasLifted(t *testing.T) {
	t.Parallel()
	for changes, want := range map[string]nullable.Nullable[int]{
		`{}`: nil, `{"maxUses":null}`: nullable.NewNullNullable[int](), `{"maxUses":5}`: nullable.NewNullableWithValue(5),
	} {
		var data client.TempKeyUpdatedData
		require.NoError(t, json.Unmarshal([]byte(`{"changes":`+changes+`}`), &data))
		require.Equal(t, want, data.Changes.MaxUses)
	}
}

// In an update what is absent stays, and what is null is lifted.
func TestAnUpdateMayLiftALimit(t *testing.T) {
	t.Parallel()
	for want, update := range map[string]client.UpdateTempKeyRequest{
		``: {},
		`,"maxUses":null,"schedule":null,"description":null`: {
			MaxUses:     nullable.NewNullNullable[client.OptionalLimit](),
			Schedule:    nullable.NewNullNullable[client.Schedule](),
			Description: nullable.NewNullNullable[client.OptionalDescription](),
		},
		`,"maxUses":5,"schedule":{"timeZone":"Europe/Berlin"},"description":""`: {
			MaxUses:     nullable.NewNullableWithValue[client.OptionalLimit](5),
			Schedule:    nullable.NewNullableWithValue(client.Schedule{TimeZone: "Europe/Berlin"}),
			Description: nullable.NewNullableWithValue[client.OptionalDescription](""),
		},
	} {
		s := &script{steps: steps{succeeded}}
		update.TempKeyUuid = uuid.MustParse("3d0e8c3a-5a0f-4a53-8f0b-5f3c2f1f7a10")
		_, err := s.client(t).UpdateTempKeyWithResponse(t.Context(), 42, update)
		require.NoError(t, err)
		body, err := io.ReadAll(s.calls[0].Body)
		require.NoError(t, err)
		require.JSONEq(t, `{"tempKeyUuid":"3d0e8c3a-5a0f-4a53-8f0b-5f3c2f1f7a10"`+want+`}`, string(body))
	}
}
