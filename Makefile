# The commands of this repository. `make help` lists them.
SHELL := /bin/bash
SHIP := .build/ship
# Statically linked Swift, Debian's C libraries: starts in milliseconds, links no Foundation.
SWIFT_BUILD := KYRODB_SHIPPED=1 swift build -c release --static-swift-stdlib --scratch-path $(SHIP) \
    --explicit-target-dependency-import-check error
BIN := $(SHIP)/release

.DEFAULT_GOAL := help
.PHONY: help deps build clients demo test interop faults fuzz simulate plant flips accept format lint clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) \
	    | while IFS='|' read -r name text; do printf 'make %-9s %s\n' "$$name" "$$text"; done

deps: ## install what is missing from Debian and PyPI
	@Tests/Tooling/deps.sh

build: deps ## build kyrodb, kyroctl and kyrobench into .build/ship/release
	$(SWIFT_BUILD)

clients: deps ## generate the Python stubs, build the C client into .build/clients/c
	.venv/bin/python clients/python/generate.py
	$(MAKE) -C clients/c

demo: build ## start a server, stream a sample in, ask it things
	@Tests/Tooling/demo.sh $(BIN)

test: deps ## everything that must hold: lint, tests, sanitizers, oracles, end to end
	@Tests/Tooling/test.sh

interop: build ## gRPC's official C++ client, all of its cases (with the kit of KYRODB_CONFORMANCE)
	@Tests/Conformance/official.sh $(BIN)/kyro-interop-server

faults: build ## a million writes under 500 kills and 100 power cuts; EIO, full disks, clocks
	@Tests/Tooling/faults.sh $(BIN)

fuzz: deps ## fuzz the HTTP/2 session and gRPC's framing, 20 s each (FUZZ_SECONDS)
	@Tests/Tooling/fuzz.sh $(or $(FUZZ_SECONDS),20)

simulate: build ## 100,000 seeds of the simulator (make test runs 1,000)
	$(BIN)/kyro-simulator --seeds '0..<100000' --jobs $$(nproc)

plant: deps ## plant known bugs and see that the simulator catches each
	@Tests/Simulation/plant.sh

accept: build clients ## measure the figures (data sets from KYRODB_DATA)
	@Tests/Tooling/accept.sh $(BIN)

flips: ## 100,000 random flips in large files: verify, open, compare with a model
	KYRODB_FLIPS=100000 SWIFT_BACKTRACE=enable=no swift test -c release --filter RandomFlipTests

format: ## format the Swift sources in place
	swift format format --in-place --recursive --parallel Package.swift Sources Tests

lint: deps ## the checks that read the sources
	@Tests/Tooling/lint.sh

clean: ## remove what was built
	rm -rf .build .build-* clients/python/build clients/python/src/kyrodb_v2/_proto
