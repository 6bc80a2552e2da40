package api

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/lock"
)

var (
	errNoTempKey = &lock.Error{Kind: lock.NotFound, Reason: "temp-key-not-found", Message: "There is no such key, or it was deleted. Ask whoever sent you the link for a new one."}
	errTwoNames  = badRequest("request-id-invalid", "requestId", "Idempotency-Key and requestId name the request differently; name it once")
)

// ShowTempKey shows the page of a key.
func (s *server) ShowTempKey(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid) {
	key, err := lock.ParseTempKeyID(uuid)
	if err != nil {
		s.fail(w, r, errNoTempKey) // a person cannot mend a UUID
		return
	}
	id, err := s.Locks.FindTempKey(r.Context(), key)
	if err == nil && id == 0 {
		var k *collective.Key
		if k, err = s.collectiveKey(r, key); err == nil {
			s.showCollective(w, r, k)
			return
		}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	info, err := ask[*lock.TempKeyInfo](r.Context(), s, id, &lock.GetTempKey{TempKeyID: key})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writePage(w, r, http.StatusOK, &pages.Key{Info: info, Now: s.Now(), RequestID: newName()})
}

// ShowConfirmation shows what became of a request to open.
func (s *server) ShowConfirmation(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid, params ShowConfirmationParams) {
	key, err := lock.ParseTempKeyID(uuid)
	if err != nil {
		s.fail(w, r, errNoTempKey)
		return
	}
	at, err := s.placeOf(r, key, params.Door)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	info, err := ask[*lock.TempKeyInfo](r.Context(), s, at.lock, &lock.GetTempKey{TempKeyID: at.key, RequestID: lock.RequestID(params.Request)})
	if err != nil {
		s.fail(w, r, at.missing(err))
		return
	}
	page := &pages.Confirmation{
		Info: info, Door: at.name, TakenOff: at.door != 0 && !at.over, Named: params.Request != "", Offline: params.Offline == "true", Action: "/temp-keys/" + string(key) + "/open",
		RequestID: newName(), Now: s.Now(),
	}
	if page.Named { // or it would be another one that is on its way
		page.Open = info.Open
	}
	if at.door != 0 {
		page.Action = "/temp-keys/" + string(key) + "/doors/" + strconv.FormatInt(at.door, 10) + "/open"
	}
	if !info.Deleted || at.door != 0 {
		page.Back = "/temp-keys/" + string(key)
	}
	s.writePage(w, r, http.StatusOK, page)
}

// OpenWithTempKey opens for a guest, the first door if the key has several.
func (s *server) OpenWithTempKey(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid, params OpenWithTempKeyParams) {
	s.openForGuest(w, r, uuid, "", params.IdempotencyKey)
}

// openForGuest opens for a guest, who is led to the confirmation whatever the outcome is.
func (s *server) openForGuest(w http.ResponseWriter, r *http.Request, uuid, door, name string) {
	if s.origins.Check(r) != nil {
		s.fail(w, r, errForeignWeb)
		return
	}
	key, err := lock.ParseTempKeyID(uuid)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	requestID, err := s.guestRequestID(w, r, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	traceOf(r).confirmation = confirmationOf(key, "request="+url.QueryEscape(string(requestID)), door)
	at, err := s.placeOf(r, key, door)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	o, err := ask[*lock.OpenResult](r.Context(), s, at.lock, &lock.OpenWithTempKey{
		By: callerOf(r), TempKeyID: at.key, RequestID: requestID, CommandID: lock.CommandID(newName()),
		Lifetime: s.OpenLifetime, Hold: guestHold,
	})
	if err != nil {
		s.fail(w, r, asNamed(r, at.missing(err)))
		return
	}
	sayRepeated(w, o)
	if door = ""; at.door != 0 {
		door = strconv.FormatInt(at.door, 10)
	}
	lead(w, confirmationOf(key, "offline="+strconv.FormatBool(o.Offline)+"&request="+url.QueryEscape(string(o.RequestID)), door))
}

// confirmationOf is the address of the page that tells what became of an open.
func confirmationOf(key lock.TempKeyID, query, door string) string {
	if door != "" {
		query += "&door=" + url.QueryEscape(door)
	}
	return "/temp-keys/" + string(key) + "/confirmation?" + query
}

// lead sends the caller to another address, to GET it.
func lead(w http.ResponseWriter, to string) {
	w.Header()["Location"] = []string{to}
	w.WriteHeader(http.StatusSeeOther)
}

// guestRequestID reads the name of the request from the header, the page's form or a JSON body.
func (s *server) guestRequestID(w http.ResponseWriter, r *http.Request, header string) (lock.RequestID, error) {
	data, err := s.readAll(w, r)
	if err != nil {
		return "", err
	}
	var body OpenWithTempKeyRequest
	switch {
	case len(data) == 0:
	case mediaType(r) == "application/x-www-form-urlencoded":
		if body.RequestId, err = requestIDOfForm(data); err != nil {
			return "", err
		}
	case mediaType(r) == "application/json":
		if err := decode(data, &body); err != nil {
			return "", err
		}
	default:
		return "", wrongMediaType(r, "application/x-www-form-urlencoded or application/json")
	}
	if header != "" && body.RequestId != "" && header != body.RequestId {
		return "", errTwoNames
	}
	if header != "" {
		body.RequestId = header
	}
	return readRequestID(body.RequestId)
}

// requestIDOfForm reads the form of the key's page. It is as strict as decode.
func requestIDOfForm(data []byte) (string, error) {
	form, err := url.ParseQuery(string(data))
	if err != nil {
		return "", badRequest("body-unreadable", "", "The form cannot be read: "+err.Error()+".")
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "requestId" {
			return "", fieldUnknown(name, shapeOf(reflect.TypeFor[OpenWithTempKeyRequest]()))
		}
		if len(form[name]) > 1 {
			return "", fieldTwice(name)
		}
	}
	return form.Get("requestId"), nil
}
