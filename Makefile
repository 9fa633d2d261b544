# The targets that a person uses are listed by "make help".

GO       ?= go
DESTDIR  ?=
OCF_ROOT ?= /usr/lib/ocf

export CGO_ENABLED = 0

# A tool's version is part of its file's name, so that a changed pin in tools/go.mod builds it anew.
LINT_MODULE  := github.com/golangci/golangci-lint/v2
LINT_VERSION := $(shell awk '$$1 == "$(LINT_MODULE)" { print $$2; exit }' tools/go.mod)
LINT         := .cache/bin/golangci-lint-$(LINT_VERSION)

# A module of its own, beside the linter's (docs/decisions/0021).
NFPM_MODULE  := github.com/goreleaser/nfpm/v2
NFPM_VERSION := $(shell awk '$$1 == "$(NFPM_MODULE)" { print $$2; exit }' tools/nfpm/go.mod)
NFPM         := .cache/bin/nfpm-$(NFPM_VERSION)

# What packages and releases are made in, and the version they get.
DIST    ?= dist
VERSION ?= $(shell tools/version.sh)

BUILD := $(GO) build -trimpath -buildvcs=auto -ldflags='-s -w'

# Behind these build tags are the tests that need PostgreSQL and the cluster.
TAGS := lab,realpg,cookbook

# How long each fuzz target runs in "make test". A number of executions and not a time, because "go test" sometimes takes
# the end of the time for a failure.
FUZZTIME ?= 20000x

.DEFAULT_GOAL := build

# One lab at a time: they time what happens in them.
.NOTPARALLEL:

##@ Use

.PHONY: build
build: ## build bin/pgsqlms, the agent, and bin/lab, the cluster to try it in
	$(BUILD) -o bin/pgsqlms ./cmd/pgsqlms
	$(BUILD) -o bin/lab ./test/cmd/lab

bin/pgsqlms:
	$(BUILD) -o $@ ./cmd/pgsqlms

# Whatever is in bin/ is installed, without building it again: root's environment often has no Go. The agent's file is
# replaced in one step, since Pacemaker may run it at any moment; it takes no notice of names that begin with a dot.
AGENT_DIR   = $(DESTDIR)$(OCF_ROOT)/resource.d/heartbeat
COMMAND_DIR = $(DESTDIR)/usr/sbin

.PHONY: install
install: bin/pgsqlms ## install the agent below $(DESTDIR)/usr/lib/ocf, and a link to it in $(DESTDIR)/usr/sbin
	install -d -m 0755 "$(AGENT_DIR)"
	install -m 0755 bin/pgsqlms "$(AGENT_DIR)/.pgsqlms.new"
	mv -f "$(AGENT_DIR)/.pgsqlms.new" "$(AGENT_DIR)/pgsqlms"
	install -d -m 0755 "$(COMMAND_DIR)"
	ln -sfn "$(OCF_ROOT)/resource.d/heartbeat/pgsqlms" "$(COMMAND_DIR)/pgsqlms"

.PHONY: packages
packages: $(NFPM) ## make the deb and the rpm for this machine's architecture, in dist/
	rm -rf $(DIST)
	@$(MAKE) --no-print-directory package-$(shell $(GO) env GOARCH)

.PHONY: release
release: ## make packages and archives for amd64 and arm64, and their checksums, in an empty dist/
	rm -rf $(DIST)
	@$(MAKE) --no-print-directory package-amd64 package-arm64
	GO="$(GO)" VERSION="$(VERSION)" tools/release.sh $(DIST) amd64 arm64

.PHONY: demo
demo: root host-tools build ## show failovers and switchovers on a real cluster, on this machine (root); KEEP=1 leaves it up
	$(BUILD) -o bin/demo ./test/cmd/demo
	bin/demo

##@ Develop

.PHONY: check
check: fmt-check vet lint tidy-check unit ## everything that is fast and needs no root

# The lab's tree, which waits for the network mostly, is made beside the tests that need no cluster.
.PHONY: test
test: root host-tools build ## everything (root)
	@bin/lab tree & tree=$$!; trap 'kill $$tree 2>/dev/null' EXIT; \
		$(MAKE) --no-print-directory check fuzz && wait $$tree && $(MAKE) --no-print-directory realpg lab-test

# What was measured takes hours, so it goes into a directory of its own each time, out of "make clean"'s way.
OUT ?= bench-out/$(shell date -u +%Y%m%dT%H%M%SZ)

.PHONY: bench
bench: root host-tools build ## measure the agent against its peers and the floor, on this machine (root, 40 min); BENCHFLAGS are given to bin/bench, OUT is where its figures go
	$(BUILD) -o bin/bench ./test/cmd/bench
	out='$(OUT)'; bin/bench -json "$$out/bench.json" -markdown "$$out/bench.md" -svg "$$out/bench.svg" -logs "$$out/logs" $(BENCHFLAGS)

# SCENARIOS names some (F1 F5), N is how often each is played. SEED, RUNS or FOR make it the random mode.
.PHONY: faults
faults: root host-tools build failpoint-agent ## inject faults and check that nothing is lost, on this machine (root); SCENARIOS, N, SEED, RUNS, FOR as in docs/faults.md; FAULTSFLAGS are given to bin/faults
	$(BUILD) -o bin/faults ./test/cmd/faults
	bin/faults $(if $(N),-n $(N)) $(if $(SEED),-seed $(SEED)) $(if $(RUNS),-runs $(RUNS)) $(if $(FOR),-for $(FOR)) $(FAULTSFLAGS) $(SCENARIOS)

.PHONY: fmt
fmt: ## format the Go files
	gofmt -w $(GO_DIRS)

.PHONY: lint
lint: $(LINT) ## run the linter
	$(LINT) run ./...

.PHONY: reference
reference: ## write docs/reference.md and the manual pages anew from package metadata
	$(GO) run ./metadata/gen .

.PHONY: clean
clean: ## remove what was built; the lab's cached tree stays
	rm -rf bin dist .cache coverage.out

.PHONY: help
help: ## show this
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Parts of check and test

GO_DIRS = cmd internal metadata test

.PHONY: fmt-check
fmt-check:
	@files=$$(gofmt -l $(GO_DIRS)); test -z "$$files" || \
		{ echo "not formatted, run \"make fmt\":" $$files >&2; exit 1; }

.PHONY: vet
vet:
	$(GO) vet -tags $(TAGS) ./...

.PHONY: tidy-check
tidy-check:
	$(GO) mod tidy -diff

.PHONY: unit
unit: ## unit, property and testscript tests
	$(GO) test ./...
	$(GO) test -tags failpoint ./internal/failpoint

.PHONY: fuzz
fuzz: ## each fuzz target, for FUZZTIME (a number as 20000x, or a time as 5m)
	GO="$(GO)" tools/fuzz.sh $(FUZZTIME)

.PHONY: realpg
realpg: root build ## tests with a real PostgreSQL, in the lab's tree (root)
	GO="$(GO)" tools/realpg.sh

# Each package brings up a cluster of its own, and times what happens in it: two at a time, as a cluster waits more than it
# works. The packages of test without the tag have been through "make unit".
LAB_PACKAGES = $(sort $(dir $(shell grep -rl --include='*_test.go' '^//go:build .*lab' ./test)))

.PHONY: lab-test
lab-test: root build failpoint-agent packages ## end-to-end tests in the lab, and the meta-data's validators (root)
	$(GO) test -tags lab -count=1 -p 2 -timeout 20m $(LAB_PACKAGES)

# TASKS names some of the cookbook's tasks by a pattern; only these are done then.
.PHONY: cookbook
cookbook: root host-tools build ## do what the cookbook says, and the quick start for EL and the migration, in the lab (root, 20 min)
	$(GO) test -tags lab,cookbook -count=1 -v -timeout 40m -run '$(if $(TASKS),^TestCookbook$$,.)' ./test/pages

# For tests alone: it can be told to die at a named step.
.PHONY: failpoint-agent
failpoint-agent:
	$(BUILD) -tags failpoint -o bin/pgsqlms-failpoint ./cmd/pgsqlms

# Git's state is in the version already; whether Go finds it depends on the kind of checkout, and would change the bytes.
# The binary is checked to be static, and without failpoints, before it is packed.
.PHONY: package-%
package-%: $(NFPM)
	GOOS=linux GOARCH=$* $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -X main.packaged=$(VERSION)' \
		-o $(DIST)/build/$*/pgsqlms ./cmd/pgsqlms
	$(GO) run ./test/cmd/static $* $(DIST)/build/$*/pgsqlms
	GO="$(GO)" VERSION="$(VERSION)" tools/packages.sh $* $(DIST)/build/$*/pgsqlms $(NFPM) $(DIST)

.PHONY: host-tools
host-tools: ## install what the lab needs on this machine, where apt-get is there
	tools/host-tools.sh

.PHONY: root
root:
	@test "$$(id -u)" = 0 || { echo "$(or $(MAKECMDGOALS),this) needs root: it runs nodes in namespaces and mounts their" \
		"file systems. Run it with sudo, or run \"make check\", which does not need root." >&2; exit 1; }

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION), once; this takes some minutes"
	@mkdir -p $(@D)
	cd tools && $(GO) build -trimpath -o ../$@ $(LINT_MODULE)/cmd/golangci-lint

$(NFPM):
	@echo "building nfpm $(NFPM_VERSION), once"
	@mkdir -p $(@D)
	cd tools/nfpm && $(GO) build -trimpath -o ../../$@ $(NFPM_MODULE)/cmd/nfpm
