# make run    installs what is missing, builds, and runs the demo
# make test   installs what is missing, and runs what CI runs
# make tools  fetches published tools that some tests use where they are there: fuzzer, collector, proxies
# make soak   the long tests
# make bench  measures this machine

.PHONY: run test tools soak bench deps test-deps lint

CARGO ?= cargo
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/host-ci/tools
export PATH := $(TOOLS)/bin:$(PATH)

run: deps
	$(CARGO) run --release --quiet -- run demo

test: test-deps lint
	$(CARGO) test --quiet
	$(CARGO) run --quiet -- run demo --json > /dev/null

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --quiet --all-targets -- -D warnings

tools:
	@sh .ci/tools $(TOOLS)

soak: test-deps
	HOST_SOAK=1 $(CARGO) test --release

bench: deps
	$(CARGO) run --release --quiet -- bench steps --runs 20000 --steps 10 --concurrency 64
	$(CARGO) run --release --quiet -- bench steps --runs 2000 --steps 10 --concurrency 1
	$(CARGO) run --release --quiet -- bench latency --runs 2000
	$(CARGO) run --release --quiet -- bench queue
	$(CARGO) run --release --quiet -- bench http
	$(CARGO) run --release --quiet -- bench upkeep
	$(CARGO) run --release --quiet -- bench resume --runs 10000 --steps 20 --store-mib 1024
	$(CARGO) run --release --quiet -- bench replay
	$(CARGO) run --release --quiet -- bench journal

deps:
	@sh .ci/deps ffmpeg ffprobe cc make cargo

test-deps: deps
	@sh .ci/deps strace nvim zsh fish man
