package actorspb

import (
	"time"

	"github.com/asynkron/protoactor-go/remote"
)

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate ../.. --template ../../buf.gen.yaml --output ../.. --path ../../actors/actorspb

// IncomingRequest is a request that came from another node, with the instant from which its time left counts.
// It is turned into a command by the grain and not here: an error here would tear the whole connection down.
type IncomingRequest struct {
	*Request
	At time.Time
}

// Deserialize marks a request that comes in.
func (x *Request) Deserialize() (remote.RootSerializable, error) {
	return &IncomingRequest{Request: x, At: time.Now()}, nil
}

// Serialize gives the request back as it travels.
func (r *IncomingRequest) Serialize() (remote.RootSerialized, error) { return r.Request, nil }

// IncomingEffect is an effect that came from another node, with the instant from which its time left counts.
type IncomingEffect struct {
	*Effect
	At time.Time
}

// Deserialize marks an effect that comes in.
func (x *Effect) Deserialize() (remote.RootSerializable, error) {
	return &IncomingEffect{Effect: x, At: time.Now()}, nil
}

// Serialize gives the effect back as it travels.
func (e *IncomingEffect) Serialize() (remote.RootSerialized, error) { return e.Effect, nil }

// Deserialize leaves a response as it is: its reader turns it into a reply.
func (x *Response) Deserialize() (remote.RootSerializable, error) { return x, nil }

// Serialize gives the response as it travels.
func (x *Response) Serialize() (remote.RootSerialized, error) { return x, nil }

// Deserialize leaves a recall as it is: what it starts is started by whom it is for.
func (x *Recall) Deserialize() (remote.RootSerializable, error) { return x, nil }

// Serialize gives the recall as it travels.
func (x *Recall) Serialize() (remote.RootSerialized, error) { return x, nil }
