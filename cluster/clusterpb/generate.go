// Package clusterpb holds the protobuf messages that the nodes of a cluster exchange about placement.
package clusterpb

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.57.2 generate
