package client

import (
	"context"
	"net/http"
)

// IdempotencyKey names a POST, so that it is carried out once however often it is made with the same name: pass it
// as the last argument. Use a new name for each thing that is to be done, such as a random UUID.
func IdempotencyKey(name string) RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("Idempotency-Key", name)
		return nil
	}
}
