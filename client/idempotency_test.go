package client_test

import (
	"net/http"
	"testing"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/client"
)

func TestACallMayHaveAName(t *testing.T) {
	t.Parallel()
	s := &script{steps: []func(*http.Request) (*http.Response, error){says(200, `{"success":true}`)}}
	_, err := s.client(t).SetOwnerWithResponse(t.Context(), 42, client.SetOwnerJSONRequestBody{UserId: nullable.NewNullableWithValue("ann")}, client.IdempotencyKey("n1"))
	require.NoError(t, err)
	require.Equal(t, "n1", s.calls[0].Header.Get("Idempotency-Key"))
}
