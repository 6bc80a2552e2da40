// Package clusterpb holds the protobuf messages that the nodes of a cluster exchange about placement.
package clusterpb

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate ../.. --template ../../buf.gen.yaml --output ../.. --path ../../cluster/clusterpb
