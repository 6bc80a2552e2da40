package sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const superKey = "the operator's own key of 32 characters"

// apiServer is as much of the HTTP API as provisioning calls, in front of the devices' side.
type apiServer struct {
	*server
	mu      sync.Mutex // guards what follows
	locks   map[string]string
	secrets map[string]string
	orgs    map[string]string
	keys    []map[string]any
	busy    int // calls that are answered with 503 first
}

func newAPI(t *testing.T) *apiServer {
	a := &apiServer{
		server: &server{t: t, sessions: make(chan *session, 4096)},
		locks:  make(map[string]string), secrets: make(map[string]string), orgs: make(map[string]string),
	}
	a.greeting.Epoch, a.greeting.HeartbeatMs = 1, 60_000
	a.http = httptest.NewServer(http.HandlerFunc(a.route))
	t.Cleanup(a.http.Close)
	a.secretOf = func(uuid string) string {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.secrets[uuid]
	}
	return a
}

func (a *apiServer) route(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/devices/") {
		a.serve(w, r)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy > 0 {
		a.busy--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Header.Get("X-API-Key") != superKey {
		answer(w, http.StatusUnauthorized, map[string]any{"reason": "no-credentials", "message": "who are you?"})
		return
	}
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) != 4 || parts[1] != "locks" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	id := parts[2]
	switch parts[3] {
	case "CreateLock":
		if a.locks[id] != "" {
			answer(w, http.StatusConflict, map[string]any{"reason": "lock-exists"})
			return
		}
		a.locks[id] = body["uuid"].(string)
		answer(w, http.StatusOK, map[string]any{"success": true})
	case "basic-info":
		answer(w, http.StatusOK, map[string]any{"uuid": a.locks[id]})
	case "RotateDeviceSecret":
		secret := fmt.Sprintf("%s-%d", a.locks[id], len(a.secrets))
		a.secrets[a.locks[id]] = secret
		answer(w, http.StatusOK, map[string]any{"success": true, "secret": secret})
	case "SetOrganization":
		a.orgs[id] = body["orgId"].(string)
		answer(w, http.StatusOK, map[string]any{"success": true})
	case "create-temp-key":
		a.keys = append(a.keys, body)
		answer(w, http.StatusOK, map[string]any{"success": true})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
