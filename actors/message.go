package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/remote"

	"github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

// Request is a command on its way to its lock's grain. On one node it travels as it is and is never changed after
// it was sent; between nodes it travels as actorspb.Request.
type Request struct {
	ID       string    // names the command, so that it is executed once however often it is sent; empty: a query
	Deadline time.Time // the caller has gone by then; zero: nobody waits
	Command  lock.Command

	mail *mail // takes it back when it could not be told; nil: nobody does
	to   lock.ID
}

// Returned takes a request back that nobody waits for, and that did not get to its grain.
func (r *Request) Returned() {
	if r.mail != nil {
		r.mail.put(r.to, r)
	}
}

// Response answers a Request with a reply or a rejection. A request that was not executed, and may be sent again, is
// answered with cluster.Retry or cluster.Busy instead.
type Response struct {
	Reply lock.Reply
	Err   *lock.Error
}

// Serialize turns the request into what travels between nodes.
func (r *Request) Serialize() (remote.RootSerialized, error) {
	x := &actorspb.Request{Id: r.ID}
	if !r.Deadline.IsZero() {
		x.RemainingMs = max(1, time.Until(r.Deadline).Milliseconds())
	}
	return x, putCommand(x, r.Command)
}

// Serialize turns the response into what travels between nodes.
func (r *Response) Serialize() (remote.RootSerialized, error) {
	x := new(actorspb.Response)
	if r.Err == nil {
		return x, putReply(x, r.Reply)
	}
	x.Answer = &actorspb.Response_Error{Error: errorToPB(r.Err)}
	return x, nil
}

// requestOf reads a request that came from another node.
func requestOf(in *actorspb.IncomingRequest) (*Request, error) {
	c, err := commandOf(in.Request, in.At)
	if err != nil {
		return nil, err
	}
	r := &Request{ID: in.GetId(), Command: c}
	if ms := in.GetRemainingMs(); ms != 0 {
		r.Deadline = in.At.Add(time.Duration(ms) * time.Millisecond)
	}
	return r, nil
}

// responseOf reads a response that came from another node.
func responseOf(x *actorspb.Response) (*Response, error) {
	if e := x.GetError(); e != nil {
		return &Response{Err: errorOf(e)}, nil
	}
	reply, err := replyOf(x)
	return &Response{Reply: reply}, err
}
