# Needs Go, git, bash and GNU make; a C compiler too for the race detector. Nothing is installed on the machine: tools and
# servers are built from the Go module proxy. `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

NAME := vault-plugin-s3conn
# The one place that says the version is the constant that the plugin reports to Vault.
VERSION = $(shell sed -nE 's/^.*Version *= *"(v[^"]+)".*$$/\1/p' backend.go)
# How many inputs `make fuzz` tries on each target, or for how long (10s): go test may fail a target at the end of a time.
FUZZTIME ?= 20000x
# How long `make soak` keeps up its load.
SOAKTIME ?= 30m
# What `make bench` gives to the comparison on a real Vault ("-help" lists it), and how often it runs Go's benchmarks:
# benchstat wants 10.
BENCHFLAGS ?=
BENCHCOUNT ?= 1

GOBUILD := CGO_ENABLED=0 go build -trimpath

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: build
build: ## build bin/vault-plugin-s3conn for this machine
	$(GOBUILD) -o bin/$(NAME) ./cmd/$(NAME)

.PHONY: dist
dist: ## build the release's program into dist/, with its SHA-256 (GOOS and GOARCH choose the platform, GOFIPS140=v1.0.0 FIPS 140-3)
	@test -n '$(VERSION)' || { echo 'dist: backend.go has no Version = "v..."' >&2; exit 1; }
	@file=$(NAME)_$(VERSION)_$$(go env GOOS)_$$(go env GOARCH); \
	case $$(go env GOFIPS140) in off) ;; *) file=$${file}_fips140 ;; esac; \
	$(GOBUILD) -buildvcs=false -ldflags '-s -w -buildid=' -o dist/$$file ./cmd/$(NAME); \
	cd dist; sha256sum $$file | tee $$file.sha256

.PHONY: release
release: ## build every platform's programs and archives, sums, SBOMs and image into dist/VERSION (VERSION=v... is checked)
	@go -C scripts/release run . -version '$(VERSION)' -out '$(CURDIR)/dist/$(VERSION)'

.PHONY: test
test: ## run every test of every module, against real Vault and MinIO servers too (built on first use)
	@scripts/test

.PHONY: unit
unit: ## run the unit tests: no servers, nothing to build first
	@scripts/test --without-servers

.PHONY: acceptance
acceptance: ## run the tests against real Vault and MinIO servers
	@scripts/test acceptance

.PHONY: check
check: ## do everything that a commit has to pass: lint, audit, a thousand inputs for each fuzz target, every test
	@$(MAKE) lint
	@$(MAKE) audit
	@$(MAKE) fuzz FUZZTIME=1000x
	@$(MAKE) test

.PHONY: lint
lint: ## check formatting, go vet, staticcheck and the length of lines, functions and files
	@scripts/lint

.PHONY: audit
audit: ## check the dependencies of every module (VULNCHECK=1 asks the vulnerability database, which needs to be on line)
	@scripts/audit

.PHONY: bench
bench: ## measure reads against the least that a plugin can do, on a real Vault, then run Go's benchmarks (Linux, 5 to 30 minutes)
	@vault=$$(scripts/build-server vault); cd bench; VAULT_BIN=$$vault go run . -charts ../docs $(BENCHFLAGS)
	@go test -run='^$$' -bench=. -benchmem -count=$(BENCHCOUNT) .
	@go -C bench test -run='^$$' -bench=. -benchmem -count=$(BENCHCOUNT) .
	@go -C rolesanywhere test -run='^$$' -bench=. -benchmem -count=$(BENCHCOUNT) .

.PHONY: fuzz
fuzz: ## try FUZZTIME (20000x) inputs on each fuzz target
	@scripts/fuzz $(FUZZTIME)

.PHONY: soak
soak: ## load a real Vault for SOAKTIME (30m) with kills, seals, changes and faults, and see that nothing grows
	@vault=$$(scripts/build-server vault); minio=$$(scripts/build-server minio); \
	VAULT_BIN=$$vault MINIO_BIN=$$minio SOAKTIME=$(SOAKTIME) go -C acceptance test -race -count=1 -timeout=0 -v -run='^TestSoak_' .

.PHONY: demo
demo: ## show the plugin at work in a real Vault
	@vault=$$(scripts/build-server vault); cd scripts/demo; VAULT_BIN=$$vault go run .

.PHONY: picture
picture: ## draw docs/dashboard.svg from a real Prometheus that scrapes a real Vault for three minutes
	@go -C acceptance test -count=1 -run='^TestMonitoring_PrometheusScrapesVault$$' . \
	  -picture '$(CURDIR)/docs/dashboard.svg' -picture-time 3m

.PHONY: clean
clean: ## remove what was built here; servers stay in the cache
	rm -rf bin dist
