package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/lock"
)

var (
	errNoTempKey  = &lock.Error{Kind: lock.NotFound, Reason: "temp-key-not-found", Message: "There is no such key, or it was deleted. Ask whoever sent you the link for a new one."}
	errTwoNames   = badRequest("request-id-invalid", "requestId", "Idempotency-Key and requestId name the request differently; name it once")
	errFormFields = badRequest("field-unknown", "", "The form has one field: requestId, once.")
)

// ShowTempKey shows the page of a key.
func (s *server) ShowTempKey(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid) {
	info, err := s.tempKeyInfo(r, uuid, "")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writePage(w, r, http.StatusOK, &pages.Key{Info: info, Now: s.Now(), RequestID: newName()})
}

// ShowConfirmation shows what became of a request to open.
func (s *server) ShowConfirmation(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid, params ShowConfirmationParams) {
	info, err := s.tempKeyInfo(r, uuid, lock.RequestID(params.Request))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writePage(w, r, http.StatusOK, &pages.Confirmation{
		Info: info, Open: info.Open, Now: s.Now(), Offline: params.Offline == "true" || info.Open != nil && info.Open.Offline,
	})
}

func (s *server) tempKeyInfo(r *http.Request, uuid string, request lock.RequestID) (*lock.TempKeyInfo, error) {
	key, err := lock.ParseTempKeyID(uuid)
	if err != nil {
		return nil, errNoTempKey // a person cannot mend a UUID
	}
	id, err := s.find(r, key)
	if err != nil {
		return nil, err
	}
	return ask[*lock.TempKeyInfo](r.Context(), s, id, &lock.GetTempKey{TempKeyID: key, RequestID: request})
}

func (s *server) find(r *http.Request, key lock.TempKeyID) (lock.ID, error) {
	id, err := s.Locks.FindTempKey(r.Context(), key)
	if err == nil && id == 0 {
		err = errNoTempKey
	}
	return id, err
}

// OpenWithTempKey opens for a guest, who is led to the confirmation whatever the outcome is.
func (s *server) OpenWithTempKey(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid, params OpenWithTempKeyParams) {
	if s.origins.Check(r) != nil {
		s.fail(w, r, errForeignWeb)
		return
	}
	key, err := lock.ParseTempKeyID(uuid)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	requestID, err := s.guestRequestID(w, r, params.IdempotencyKey)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	id, err := s.find(r, key)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	o, err := ask[*lock.OpenResult](r.Context(), s, id, &lock.OpenWithTempKey{
		By: callerOf(r), TempKeyID: key, RequestID: requestID, CommandID: lock.CommandID(newName()),
		Lifetime: s.OpenLifetime, Hold: s.GuestHold,
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header()["Location"] = []string{
		"/temp-keys/" + string(key) + "/confirmation?offline=" + strconv.FormatBool(o.Offline) + "&request=" + url.QueryEscape(string(o.RequestID)),
	}
	w.WriteHeader(http.StatusSeeOther)
}

// guestRequestID reads the name of the request from the header, the page's form or a JSON body.
func (s *server) guestRequestID(w http.ResponseWriter, r *http.Request, header string) (lock.RequestID, error) {
	data, err := readAll(w, r)
	if err != nil {
		return "", err
	}
	var body OpenWithTempKeyRequest
	switch {
	case len(data) == 0:
	case mediaType(r) == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(data))
		if err != nil || len(form) > 1 || len(form) == 1 && len(form["requestId"]) != 1 {
			return "", errFormFields
		}
		body.RequestId = form.Get("requestId")
	case mediaType(r) == "application/json":
		if err := decode(data, &body); err != nil {
			return "", err
		}
	default:
		return "", wrongMediaType("application/x-www-form-urlencoded or application/json")
	}
	if header != "" && body.RequestId != "" && header != body.RequestId {
		return "", errTwoNames
	}
	if header != "" {
		body.RequestId = header
	}
	return readRequestID(body.RequestId)
}

// keyPage is the address of the page of the key that a request is about; empty when it is about none.
func keyPage(r *http.Request) string {
	rest, ok := strings.CutPrefix(r.URL.Path, "/temp-keys/")
	if !ok {
		return ""
	}
	uuid, _, _ := strings.Cut(rest, "/")
	if key, err := lock.ParseTempKeyID(uuid); err == nil {
		return "/temp-keys/" + string(key)
	}
	return ""
}
