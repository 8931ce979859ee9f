# Everything that a contributor and CI run. Each target works on a fresh clone.

GO        ?= go
CASES     ?= testdata/conformance
SOAK      ?= 10m
SOAK_SEED ?=
VERSION   ?= 0.1.0-$(shell git describe --always --dirty 2>/dev/null || echo dev)

LDFLAGS   := -s -w -X main.version=$(VERSION)
TOOLS     := $(CURDIR)/.tools
LINTER    := golangci-lint
LINT_VER  := v2.15.0
LINT_MOD  := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
LINT_BIN  := $(TOOLS)/$(LINTER)-$(LINT_VER)
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

.PHONY: build test unit needs lint platforms fmt conformance conformance-pending bench soak demo clean
.DELETE_ON_ERROR:

# One static binary.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o gitdag ./cmd/gitdag

# Installs what the tests need and may install, then runs every test.
test: needs
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory conformance
	$(MAKE) --no-print-directory soak SOAK=60s SOAK_SEED=1

needs:
	@.ci/needs

unit:
	$(GO) test -race -timeout 20m ./...

# The flags are those of `build`, so that each dependency is compiled once.
lint: $(LINT_BIN) platforms
	CGO_ENABLED=0 GOFLAGS="-trimpath $$($(GO) env GOFLAGS)" $(LINT_BIN) run ./...

# The linter is built from source, once for each version.
$(LINT_BIN):
	@mkdir -p $(TOOLS)
	cd $(TOOLS) && GOBIN=$(TOOLS) GOFLAGS= CGO_ENABLED=0 $(GO) install $(LINT_MOD)@$(LINT_VER)
	@mv $(TOOLS)/$(LINTER) $@

# Every platform that we ship compiles, its tests too.
platforms:
	@set -e; for platform in $(PLATFORMS); do \
		echo "vet $$platform"; \
		export CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/}; \
		$(GO) build -trimpath ./...; \
		$(GO) vet -trimpath ./...; \
	done

fmt: $(LINT_BIN)
	$(LINT_BIN) fmt ./...

# CASES=DIR replays the cases of another folder.
conformance: build
	testdata/conformance/check.py --bin ./gitdag --cases '$(CASES)'

# Writes the list of cases that are not expected to pass yet.
conformance-pending: build
	testdata/conformance/check.py --bin ./gitdag --write

bench: build
	bench/run

# A long simulation of the core, the same seed of which finds the same fault
# again; then as long with a real agent that is killed at random moments.
soak:
	GITDAG_SOAK=$(SOAK) GITDAG_SEED=$(SOAK_SEED) $(GO) test -timeout 0 -count 1 -run '^TestSimulation$$' ./engine/flow
	$(GO) test -timeout 0 -count 1 -run '^TestSoak$$' ./bench/soak -soak=$(SOAK) -seed=$(SOAK_SEED)

demo:
	$(GO) run ./cmd/gitdag demo

clean:
	rm -rf gitdag $(TOOLS)
