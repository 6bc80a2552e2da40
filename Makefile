# Everything that people and CI do here is a target of this file. `make` alone lists them.

GO       ?= go
BIN      := bin/latchkey
PACKAGES := ./...
FUZZTIME ?= 30s
FAULTS   ?= 1
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -X main.version=$(VERSION)

# The tools are run by their pinned version and are no dependency of the module.
GOLANGCI_LINT := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## a whole demo on this machine: server, three simulated locks, guest links (data in ./latchkey-data)
	./$(BIN) demo

.PHONY: cluster
cluster: build tools ## three servers on this machine with an etcd, a PostgreSQL and simulated locks; kill any of them and watch
	$(GO) build -o bin/localcluster ./internal/localcluster
	./bin/localcluster

.PHONY: build
build: ## build bin/latchkey, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/latchkey

.PHONY: test
test: tools ## go vet and all tests with the race detector; installs what is missing, then takes a quarter of an hour at most
	$(GO) vet $(PACKAGES)
	@echo "The tests of whole servers begin first, since they take longest; results are shown from their end on."
	$(GO) test -race -timeout 30m ./tests $(PACKAGES)

.PHONY: faults
faults: tools ## the faults of make test in large doses, for hours; FAULTS=0.1 makes them a tenth, FUZZTIME bounds each fuzz target
	LATCHKEY_FAULTS=$(FAULTS) $(GO) test -tags faults -timeout 0 -count 1 -p 1 -v ./tests ./cluster ./actors ./journal/... ./transport ./lock
	@GO='$(GO)' scripts/fuzz $(FUZZTIME)

.PHONY: planted
planted: tools ## let the tests meet bugs that are planted on purpose; they must find every one
	@GO='$(GO)' scripts/planted

.PHONY: tools
tools: ## install the Debian packages that the tests need and that are missing
	@scripts/tools

.PHONY: lint
lint: ## gofmt, go vet, golangci-lint with .golangci.yml, and whether go.mod and go.sum are up to date
	@unformatted="$$(gofmt -l .)"; \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) vet $(PACKAGES)
	$(GO) vet -tags faults,planted $(PACKAGES)
	$(GOLANGCI_LINT) run --allow-serial-runners $(PACKAGES)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s)
	@GO='$(GO)' scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: build ## the product's figures, each beside its baseline in the same run: the server (latchkey bench) and the journal
	./$(BIN) bench
	$(GO) run ./journal/journalbench

.PHONY: microbench
microbench: ## all Go benchmarks, with allocations
	$(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

.PHONY: generated
generated: ## fail when the generated code is not what its sources give; it is after that
	@GO='$(GO)' scripts/generated

.PHONY: generate
generate: ## write the generated code again (its generators are pinned where they are called)
	$(GO) generate $(PACKAGES)

.PHONY: stored
stored: ## write anew what the tests know of the form of everything that is stored (they say what else a change of it needs)
	$(GO) test ./lock ./tenant ./directory ./collective ./named -run "^TestWhatIsStored$$" -update

.PHONY: cover
cover: ## test coverage in cover.out, and a page of it in cover.html
	$(GO) test -coverpkg=$(PACKAGES) -coverprofile=cover.out $(PACKAGES)
	$(GO) tool cover -html=cover.out -o cover.html
	$(GO) tool cover -func=cover.out | tail -1
