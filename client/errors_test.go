package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/client"
)

// An error answer may have what a program needs to go on.
func TestAnErrorKeepsWhatTheAnswerSays(t *testing.T) {
	t.Parallel()
	told := `{"code":409,"reason":"secret-told-before","uuid":"9f7d2c1e-0a4b-4c5d-8e6f-1a2b3c4d5e6f","url":"https://keys.example/temp-keys/9f7d","keyId":"3f1c","message":"m"}`
	_, err := (&script{steps: steps{says(409, told)}}).client(t).CreateCollectiveKeyWithResponse(t.Context(), client.CreateCollectiveKeyRequest{}, name)
	var refusal *client.APIError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "9f7d2c1e-0a4b-4c5d-8e6f-1a2b3c4d5e6f", refusal.UUID)
	require.Equal(t, "https://keys.example/temp-keys/9f7d", refusal.URL)
	require.Equal(t, "3f1c", refusal.KeyID)
	require.Equal(t, told, string(refusal.Body))

	open := `{"code":502,"reason":"jammed","outcome":"refused","openRequestId":"r1","commandId":"c1","requestId":"R"}`
	_, err = (&script{steps: steps{says(502, open)}}).client(t).OpenLockWithResponse(t.Context(), 42, client.OpenLockRequest{})
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, client.OutcomeRefused, refusal.Outcome)
	require.Equal(t, "r1", refusal.OpenRequestID)
	require.Equal(t, "c1", refusal.CommandID)
	require.Equal(t, "R", refusal.RequestID)
}
