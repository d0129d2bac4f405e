# Linux, Go and make are all that `make demo` and `make test` need.

GOLANGCI_LINT := v2.15.0
ACTIONLINT := v1.7.12
GOVULNCHECK := v1.1.4
ACT := v0.2.89
CRANE := v0.22.1
REGCTL := v0.11.7
ORAS := v1.3.6

BIN := $(CURDIR)/.cache/bin
SCRIPTS := $(shell git ls-files '*.sh' ':!deploy/bootstrap/*' ':!deploy/lib/*') .ci/run .ci/commit_release .ci/move_major .ci/verify_release
ENGINES := podman docker-29
ENGINE_TESTS := OnEachMachineCaseSettings|OnEachMachineWhatTheEngine|OnEachMachineAServiceRuns|OnEachMachineAFailedJob|OnEachMachineAJobThatRuns|OnEachMachineACheck|OnEachMachineCaseTheHabits|OnEachMachineTheLog|E2EOldReleases|E2EAFullDisk|E2ENoLineOfABurst
RACE := $(if $(shell command -v gcc),-race)

.DEFAULT_GOAL := help
.PHONY: help demo local test test-all terraform cases fuzz sweep simulate bench bench-deploy bench-levels bench-fleet bench-start e2e engines check lint publish verify-release try-release vulnerabilities golden screenshots site

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / { sub(/%/, "<env>", $$1); printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Deploy to ten instances on this machine, fail and roll back: no account, no Docker, no root
	go run ./localaws/demo $(if $(INSTANCES),-instances=$(INSTANCES))

local: ## Start an emulated AWS with one instance on this machine, and print how to deploy to it from another shell (INSTANCES=3)
	go run ./localaws/demo -serve -instances=$(or $(INSTANCES),1)

test: ## Run the quick tests, which need nothing but Go
	go test -p 4 -shuffle=on -count=1 -timeout=15m ./...

test-all: ## Run the quick tests and the long ones: every case on the stand-in host, sampled sweep, simulation, race detector
	go test -tags=long -shuffle=on -count=1 -timeout=45m $$(go list ./... | grep -v /internal/) ./internal/rollout ./internal/bundle
	go test $(RACE) -shuffle=on -count=1 -timeout=30m ./internal/...

cases: ## Run the inputs and surroundings that people have reported, and their like (part of make test-all)
	go test -tags=long -run=Case -count=1 -timeout=15m ./...
	bats test/*.bats

terraform: ## Check and test the Terraform module (TERRAFORM_PLUGINS=folder with a mirror of the AWS provider)
	go test -tags=terraform -count=1 -run=TestTerraformModule .

fuzz: ## Fuzz each parser of outside data for FUZZTIME, 10m by default; go test runs their corpora
	@for file in $$(git grep -lE '^func Fuzz' '*_test.go'); do for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p' $$file); do \
	  echo "$$file $$target"; go test ./$$(dirname $$file) -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(or $(FUZZTIME),10m) -parallel=2 || exit 1; done; done

sweep: ## Kill a deploy before each of its commands, read-only ones included, and check the state of the host
	KILL_ALL=yes go test -tags=long ./test/host -count=1 -timeout=60m -run=KilledAnywhere -v

simulate: ## Deploy to N random fleets with random faults, on virtual time (N=10000, or SEED= for one)
	go test ./internal/rollout -count=1 -timeout=60m -run=TestSimulation -v -args -simulations=$(or $(N),10000) -seed=$(or $(SEED),0)

bench-fleet: ## Deploy to fleets of 1 to 10,000 simulated instances and rewrite the table in docs/benchmarks.md
	go test -tags=bench ./internal/rollout -count=1 -timeout=30m -run=TestTableOfFleets

bench-deploy: ## Deploy to a container with systemd and Docker, measure what users wait for, and rewrite the table in docs/benchmarks.md (needs what make e2e needs)
	go test -tags=bench,e2e ./test/host -count=1 -timeout=60m -run=TestTableOfDeploys

bench-levels: ## Compress a layer at every level over links of several speeds and rewrite the table in docs/benchmarks.md
	go test -tags=bench ./internal/image -count=1 -run=TestTableOfLevels

bench-start: ## Start the published image and node, and rewrite the table in docs/benchmarks.md, as root (Debian: docker.io; BASE=base image)
	BASE="$(BASE)" go test -tags=bench ./tools/publish -count=1 -timeout=30m -run=TestTableOfStarts

bench: $(BIN)/crane $(BIN)/regctl $(BIN)/oras ## Push images side by side with other tools and rewrite the table in docs/benchmarks.md (Debian: docker-registry skopeo docker.io; QUICK=1: a small one, shown only)
	PATH=$(BIN):$$PATH go run ./test/bench $(if $(QUICK),-rounds=1 -size=50,-table=$(CURDIR)/docs/benchmarks.md)

e2e: $(BIN)/act ## Run the tests with the real parts, as root (Debian: awscli skopeo docker-registry docker.io debootstrap jq curl; ENGINES=podman: without Docker 29)
	go test -tags=e2e -shuffle=on -count=1 -timeout=50m -run='E2E|OnEachMachine' ./...
	for instance in $(ENGINES); do \
		SAMPLE_CASES= INSTANCE=$$instance go test -tags=e2e -shuffle=on -count=1 -timeout=50m -run='$(ENGINE_TESTS)' ./test/host || exit; done

engines: ## Run all tests of the host scripts on Docker 29 and podman 4, as root, in about an hour (ENGINES= for one)
	for instance in $(ENGINES); do \
		INSTANCE=$$instance go test -tags=e2e,long -shuffle=on -count=1 -timeout=90m -run='E2E|OnEachMachine' -skip=Workflow ./test/host || exit; done

check: $(BIN)/actionlint ## Check format, Go, shell and workflows (Debian: shellcheck bats busybox original-awk)
	@test -z "$$(gofmt -l .)" || { gofmt -l . && echo 'run gofmt -w on these files' && exit 1; }
	go vet -tags=bench,long,terraform ./...
	go vet -tags=bench,e2e ./...
	go mod tidy -diff
	$(BIN)/actionlint
	$(BIN)/actionlint examples/*/.github/workflows/*.yml
	shellcheck -x $(SCRIPTS)
	cat deploy/bootstrap/[1-4]*.sh deploy/lib/ambient.sh deploy/lib/engine.sh deploy/lib/history.sh deploy/lib/identity.sh deploy/lib/killed.sh deploy/lib/judge.sh deploy/lib/unit_file.sh deploy/bootstrap/5*.sh | shellcheck -
	bats test test/host

lint: $(BIN)/golangci-lint ## Run golangci-lint, which takes minutes to compile
	$(BIN)/golangci-lint run

publish: ## Build the action's image, push it to REPOSITORY as VERSION and set it in action.yml: no Docker, no root (DRY_RUN=1: push nothing)
	@GOTOOLCHAIN=$$(sed -n 's/^toolchain //p' go.mod) CGO_ENABLED=0 go run -trimpath ./tools/publish -version="$$VERSION" -repository="$$REPOSITORY" $(if $(DRY_RUN),-dry-run)

verify-release: ## Check that VERSION is what its sources give: rebuild the image and the commits of the tag, and compare them
	.ci/verify_release "$$VERSION"

try-release: $(BIN)/act ## Deploy to an emulated AWS with the released action of VERSION, under act: needs Docker
	CGO_ENABLED=0 GOFLAGS=-trimpath go run ./localaws/tryrelease -version="$$VERSION" -act=$(BIN)/act

vulnerabilities: ## Check the dependencies against the Go vulnerability database (needs the network)
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK) ./...

golden: ## Rewrite the golden files, terraform/document.json and the tables of README.md, docs/inputs.md and docs/troubleshooting.md from the code
	go test ./internal/report . -update

screenshots: tools/web/node_modules ## Render the summaries in internal/report/testdata/scenes as GitHub does, and rewrite those in docs/screenshots (Debian: chromium pngquant fonts-liberation fonts-noto-color-emoji nodejs npm)
	node tools/web/screenshots.js .cache/screenshots internal/report/testdata/scenes/*.md
	for image in docs/screenshots/*.png; do cp .cache/screenshots/$${image##*/} $$image; done

site: tools/web/node_modules ## Build README.md and docs/ into a site with search in .cache/site, and test it in a browser (Debian: chromium nodejs npm)
	cd tools/web && node_modules/.bin/vitepress build && node --test site.test.js

tools/web/node_modules: tools/web/package-lock.json
	npm --prefix tools/web ci --ignore-scripts --no-audit --no-fund && touch $@

$(BIN)/golangci-lint: Makefile
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT) && touch $@

$(BIN)/actionlint: Makefile
	GOBIN=$(BIN) go install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT) && touch $@

$(BIN)/act: Makefile
	GOBIN=$(BIN) go install github.com/nektos/act@$(ACT) && touch $@

$(BIN)/crane: Makefile
	GOBIN=$(BIN) go install github.com/google/go-containerregistry/cmd/crane@$(CRANE) && touch $@

$(BIN)/regctl: Makefile
	GOBIN=$(BIN) go install github.com/regclient/regclient/cmd/regctl@$(REGCTL) && touch $@

$(BIN)/oras: Makefile
	GOBIN=$(BIN) go install oras.land/oras/cmd/oras@$(ORAS) && touch $@

include laptop/deploy.mk
