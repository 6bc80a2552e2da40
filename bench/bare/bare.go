// Package bare is what the benchmarks compare with: the least that opens a lock over the same protocol, with net/http,
// chi, gorilla/websocket and a map behind a mutex. It stores nothing, checks no credentials, keeps no promise, and
// knows its locks from the start. It shows what HTTP, JSON and sockets cost by themselves on this machine. With Store it
// writes a line for each open to a file and syncs that, which is the least that any server pays that stores them.
package bare

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/websocket"

	"github.com/latchkey/latchkey/transport/wire"
)

const answerWait = 3 * time.Second

type tempKey struct {
	UUID           string   `json:"uuid"`
	LockID         int64    `json:"lockId"`
	LockUUID       string   `json:"lockUuid"`
	AccessMode     string   `json:"accessMode"`
	AllowedUserIDs []string `json:"allowedUserIds"`
	ValidFrom      string   `json:"validFrom"`
	ValidUntil     string   `json:"validUntil"`
	MaxUses        *int64   `json:"maxUses"`
	UsedCount      int64    `json:"usedCount"`
	CreatedAt      string   `json:"createdAt"`
	CreatedBy      string   `json:"createdBy"`
	Status         string   `json:"status"`
}

type device struct {
	mu      sync.Mutex
	conn    *websocket.Conn
	next    int
	pending map[string]chan bool
}

// Server is the bare server.
type Server struct {
	mu      sync.Mutex
	keys    map[string]*tempKey  // by UUID
	byLock  map[int64][]*tempKey // by lock
	devices map[string]*device   // by lock UUID
	upgrade websocket.Upgrader

	storing sync.Mutex
	store   *os.File // nil: nothing is stored
}

// New makes a server that knows the given locks, each with one key for ever.
func New(locks int, lockUUID, keyUUID func(n int) string) *Server {
	s := &Server{
		keys: map[string]*tempKey{}, byLock: map[int64][]*tempKey{}, devices: map[string]*device{},
		upgrade: websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}},
	}
	now := time.Now().UTC()
	for n := 1; n <= locks; n++ {
		k := &tempKey{
			UUID: keyUUID(n), LockID: int64(n), LockUUID: lockUUID(n), AccessMode: "public", AllowedUserIDs: []string{},
			ValidFrom: now.Format(time.RFC3339), ValidUntil: now.AddDate(0, 0, 7).Format(time.RFC3339),
			CreatedAt: now.Format(time.RFC3339), CreatedBy: "bench", Status: "valid",
		}
		s.keys[k.UUID] = k
		s.byLock[k.LockID] = append(s.byLock[k.LockID], k)
	}
	return s
}

// Store makes the server write each open to the file before the device hears of it.
func (s *Server) Store(file *os.File) { s.store = file }

// stored writes down that a key was used.
func (s *Server) stored(k tempKey) error {
	if s.store == nil {
		return nil
	}
	line, err := json.Marshal(map[string]any{"type": "TempKeyUsed", "at": time.Now().UTC(), "key": k})
	if err != nil {
		return err
	}
	s.storing.Lock()
	defer s.storing.Unlock()
	if _, err := s.store.Write(append(line, '\n')); err != nil {
		return err
	}
	return s.store.Sync()
}

// AddKeys gives a lock more keys, so that lists of the same length are compared.
func (s *Server) AddKeys(lock int64, uuids ...string) {
	for _, uuid := range uuids {
		k := *s.byLock[lock][0]
		k.UUID = uuid
		s.keys[uuid] = &k
		s.byLock[lock] = append(s.byLock[lock], &k)
	}
}

// Handler serves the three routes that are compared.
func (s *Server) Handler() http.Handler {
	r := chi.NewRouter()
	r.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	r.Get("/devices/{uuid}/connect", s.connect)
	r.Post("/temp-keys/{uuid}/open", s.open)
	r.Get("/locks/{id}/temp-keys", s.list)
	return r
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	keys := make([]tempKey, 0, len(s.byLock[id]))
	for _, k := range s.byLock[id] {
		keys = append(keys, *k)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"tempKeys": keys})
}

func (s *Server) open(w http.ResponseWriter, r *http.Request) {
	uuid := chi.URLParam(r, "uuid")
	s.mu.Lock()
	k := s.keys[uuid]
	var d *device
	var used tempKey
	if k != nil {
		k.UsedCount++
		used, d = *k, s.devices[k.LockUUID]
	}
	s.mu.Unlock()
	if d == nil {
		http.Error(w, "no such key, or its lock is offline", http.StatusNotFound)
		return
	}
	if err := s.stored(used); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := d.open(); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Location", "/temp-keys/"+uuid+"/confirmation?offline=false")
	w.WriteHeader(http.StatusSeeOther)
}

func (d *device) open() error {
	answer := make(chan bool, 1)
	d.mu.Lock()
	d.next++
	id := strconv.Itoa(d.next)
	d.pending[id] = answer
	frame, err := json.Marshal([]any{2, id, wire.ActionOpen, map[string]any{
		"commandId": "c" + id, "session": "s1", "epoch": d.next, "bootId": "b1", "notAfterMono": 1 << 40, "pulseMs": 3000,
	}})
	if err == nil {
		err = d.conn.WriteMessage(websocket.TextMessage, frame)
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	wait := time.NewTimer(answerWait)
	defer wait.Stop()
	select {
	case opened := <-answer:
		if opened {
			return nil
		}
		return errors.New("refused")
	case <-wait.C:
		return errors.New("no answer")
	}
}

func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	conn, err := s.upgrade.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	d := &device{conn: conn, pending: map[string]chan bool{}}
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		var frame []json.RawMessage
		if json.Unmarshal(data, &frame) != nil || len(frame) < 3 {
			return
		}
		var id string
		if json.Unmarshal(frame[1], &id) != nil {
			return
		}
		if string(frame[0]) == "2" {
			answer, _ := json.Marshal([]any{3, id, map[string]any{"session": "s1", "epoch": 1, "heartbeatMs": 25000, "ackSeq": 0, "time": time.Now().UTC()}})
			d.mu.Lock()
			err = conn.WriteMessage(websocket.TextMessage, answer)
			d.mu.Unlock()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.devices[chi.URLParam(r, "uuid")] = d
			s.mu.Unlock()
			continue
		}
		d.mu.Lock()
		answer := d.pending[id]
		delete(d.pending, id)
		d.mu.Unlock()
		if answer != nil {
			answer <- string(frame[0]) == "3"
		}
	}
}
