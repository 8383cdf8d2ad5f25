# gpudev: `make`, `make test`, `make demo`. Everything made lies below build/.
.DEFAULT_GOAL := all
VERSION ?= $(shell sed -n 's/^## \([0-9][^ ]*\).*/\1/p' CHANGELOG.md 2>/dev/null | head -n 1)
CC ?= gcc
SANITIZE ?=
, := ,
VARIANT := $(if $(filter clang%,$(notdir $(CC))),clang,gcc)$(if $(SANITIZE),-$(firstword $(subst $(,), ,$(SANITIZE))))
BUILD ?= build
OBJ := $(BUILD)/$(VARIANT)
GEN := $(BUILD)/gen

PKGS := grpc libprotobuf-c libcurl openssl libcjson msgpack yaml-0.1
# pkg-config is asked once: gRPC's answer takes it a second.
ifneq ($(filter-out clean deps fmt fmt-check help,$(or $(MAKECMDGOALS),all)),)
include $(BUILD)/pkg.mk
endif
$(BUILD)/pkg.mk: scripts/deps
	@scripts/deps --check || { $(if $(filter demo test,$(MAKECMDGOALS)),scripts/deps,exit 1); }
	@mkdir -p $(@D)
	@printf 'PKG_CFLAGS := %s\nPKG_LIBS := %s\n' "$$(pkg-config --cflags $(PKGS))" "$$(pkg-config --libs $(PKGS))" >$@

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wformat=2 -Wmissing-prototypes -Wpointer-arith -Wvla -Wno-missing-field-initializers -Werror
CFLAGS ?= -O2 -g
# -fno-strict-overflow and friends are left to the distribution's hardening flags.
ALL_CFLAGS = -std=gnu17 $(WARN) $(CFLAGS) -D_GNU_SOURCE -D_FORTIFY_SOURCE=$(if $(SANITIZE),0,2) -fstack-protector-strong -fPIE \
  $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -O1 -Wno-unknown-warning-option -Wno-format-truncation -Wno-maybe-uninitialized) -Iinternal -I. -I$(GEN) \
  $(PKG_CFLAGS) -DGPUDEV_VERSION='"$(or $(VERSION),dev)"'
LIBS = $(PKG_LIBS) -lunistring -lpthread -lm
ALL_LDFLAGS = -pie $(LDFLAGS) -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE))

PROTOS := $(wildcard proto/*.proto)
PB_C := $(PROTOS:proto/%.proto=$(GEN)/proto/%.pb-c.c)
SRCS := $(wildcard internal/*/*.c) $(filter-out provider/main.c,$(wildcard provider/*.c provider/*/*.c))
LIB_OBJS := $(SRCS:%.c=$(OBJ)/%.o) $(PB_C:$(GEN)/%.c=$(OBJ)/gen/%.o)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(OBJ)/tests/%,$(wildcard tests/unit/*/test_*.c))
BIN := $(if $(filter gcc,$(VARIANT)),$(BUILD),$(OBJ))/terraform-provider-gpudev

.PHONY: all quick test unit testacc bench demo demo-shell demo-stop install clean lint fmt fmt-check check-headers check-arrows docs deps release help
.SECONDARY:

all: $(BIN)
# What every commit must pass in seconds: it builds, and the unit tests run.
quick: $(if $(wildcard provider/main.c),$(BIN)) unit

$(GEN)/proto/%.pb-c.c $(GEN)/proto/%.pb-c.h: proto/%.proto
	@mkdir -p $(GEN)/proto
	protoc-c --proto_path=proto --c_out=$(GEN)/proto $<
PB_H := $(PB_C:.c=.h)

$(OBJ)/%.o: %.c | $(PB_H)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(OBJ)/gen/%.o: $(GEN)/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Wno-error -w -MMD -MP -c -o $@ $<

$(OBJ)/libgpudev.a: $(LIB_OBJS)
	@rm -f $@
	ar rcs $@ $(LIB_OBJS)
$(BIN): $(OBJ)/provider/main.o $(OBJ)/libgpudev.a
	$(CC) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)

$(OBJ)/tests/%: tests/unit/%.c $(OBJ)/libgpudev.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -MF $@.d -o $@ $< $(OBJ)/libgpudev.a $(ALL_LDFLAGS) $(LIBS) -lcmocka

# Clients without a provider around them, for the acceptance tests.
$(OBJ)/acc/%: tests/acc/%.c $(OBJ)/libgpudev.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(OBJ)/libgpudev.a $(ALL_LDFLAGS) $(LIBS) -lcmocka

# The fake provider of the unit tests as a real plugin, driven by the tofu and terraform that are there.
$(OBJ)/tests/terraform-provider-probe: tests/tf/probe.c tests/tf/fake_provider.h $(OBJ)/libgpudev.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ tests/tf/probe.c $(OBJ)/libgpudev.a $(ALL_LDFLAGS) $(LIBS)
test-protocol: $(OBJ)/tests/terraform-provider-probe
	@GPUDEV_TEST_PROBE=$(CURDIR)/$< prove tests/tf/test_protocol
.PHONY: test-protocol

export CMOCKA_MESSAGE_OUTPUT = TAP
# libgrpc and OpenSSL of Debian are not instrumented; what they keep until exit is named in tests/lsan.supp.
export LSAN_OPTIONS = suppressions=tests/lsan.supp
# A sanitized process lingers a second at its end by default, which the tests of ends would take for ours.
export TSAN_OPTIONS = suppressions=tests/tsan.supp:atexit_sleep_ms=0

# Fuzz targets: tests/fuzz/fuzz_X.c with its corpus in tests/fuzz/corpus/X. `make fuzz-X` runs libFuzzer on it (FUZZ_FLAGS,
# e.g. -max_total_time=60; needs clang), `make fuzz-replay` puts every corpus through in the compiler at hand.
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
$(OBJ)/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/driver.c $(OBJ)/libgpudev.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ tests/fuzz/fuzz_$*.c tests/fuzz/driver.c $(OBJ)/libgpudev.a $(ALL_LDFLAGS) $(LIBS)
fuzz-replay: $(FUZZ:%=$(OBJ)/fuzz/%)
	@for x in $(FUZZ); do printf '%s: ' $$x; $(OBJ)/fuzz/$$x tests/fuzz/corpus/$$x || exit 1; done
.PHONY: fuzz-replay $(FUZZ:%=fuzz-%)
$(FUZZ:%=fuzz-%): fuzz-%:
	@$(MAKE) -s CC=clang SANITIZE=fuzzer-no-link,address,undefined $(BUILD)/clang-fuzzer-no-link/libgpudev.a
	@mkdir -p $(BUILD)/fuzz/$*
	clang $(filter-out -Werror,$(ALL_CFLAGS)) -fsanitize=fuzzer,address,undefined -o $(BUILD)/fuzz/fuzz_$* tests/fuzz/fuzz_$*.c \
	  $(BUILD)/clang-fuzzer-no-link/libgpudev.a -pie $(LIBS)
	$(BUILD)/fuzz/fuzz_$* -artifact_prefix=$(BUILD)/fuzz/ $(FUZZ_FLAGS) $(BUILD)/fuzz/$* tests/fuzz/corpus/$*

# The source hash against BuildKit's own packages: N random cases from SEED on (needs Go; takes 50 ms a case).
N ?= 300
SEED ?= 1
$(BUILD)/ctxhash: tests/tools/ctxdiff/hash/ctxhash.c $(OBJ)/libgpudev.a
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)
.PHONY: fuzz-context
fuzz-context: $(BUILD)/ctxhash
	cd tests/tools/ctxdiff && go build -trimpath -o $(abspath $(BUILD))/ctxdiff .
	$(BUILD)/ctxdiff -n $(N) -seed $(SEED) -hash $(BUILD)/ctxhash

unit: $(UNIT_TESTS)
	@$(if $(UNIT_TESTS),prove -Q -j2 --exec "" $(UNIT_TESTS),:)

# The whole test: what CI runs. Installs what it needs.
test:
	@scripts/deps --dev
	@scripts/test

# The acceptance tests alone: the real tofu against the real parts. TESTS= names some of them.
testacc: $(BIN)
	@scripts/testacc $(TESTS)

demo:
	@scripts/deps
	@scripts/demo
demo-shell:
	@scripts/demo shell
demo-stop:
	@scripts/demo stop
bench: all
	@scripts/bench

lint: check-arrows
	@scripts/lint
check-arrows:
	@scripts/check-arrows
check-headers: $(PB_H)
	@for h in internal/*/*.h provider/*/*.h; do [ -e $$h ] || continue; $(CC) $(ALL_CFLAGS) -fsyntax-only -x c -include $$h /dev/null || exit 1; done
fmt:
	clang-format -i $(wildcard internal/*/*.[ch] provider/*.[ch] provider/*/*.[ch] tests/unit/*/*.[ch] tests/fuzz/*.[ch])
fmt-check:
	clang-format --dry-run -Werror $(wildcard internal/*/*.[ch] provider/*.[ch] provider/*/*.[ch] tests/unit/*/*.[ch] tests/fuzz/*.[ch])
# The pages of docs/ that are made from the provider's tables and examples/; docs-check says whether they are fresh.
$(OBJ)/docs: scripts/docs.c $(OBJ)/libgpudev.a
	$(CC) $(ALL_CFLAGS) -o $@ scripts/docs.c $(OBJ)/libgpudev.a $(ALL_LDFLAGS) $(LIBS)
docs: $(OBJ)/docs
	@rm -rf docs/index.md docs/resources docs/data-sources
	@$(OBJ)/docs examples docs
docs-check: $(OBJ)/docs
	@rm -rf $(BUILD)/docs && $(OBJ)/docs examples $(BUILD)/docs
	@diff -r -x internals docs $(BUILD)/docs || { echo "docs/ is not what the tables say: run make docs" >&2; exit 1; }
.PHONY: docs-check
deps:
	@scripts/deps
# One static binary for other machines.
release:
	@scripts/release $(or $(VERSION),0.0.0)
PREFIX ?= $(HOME)/.terraform.d/plugins
PLATFORM := $(shell uname -s | tr A-Z a-z)_$(patsubst aarch64,arm64,$(patsubst x86_64,amd64,$(shell uname -m)))
# Where OpenTofu looks for providers that no registry has (an implied local mirror).
install: $(BIN)
	install -D -m 755 $(BIN) $(PREFIX)/registry.opentofu.org/gpudev/gpudev/$(or $(VERSION),0.0.0)/$(PLATFORM)/terraform-provider-gpudev
clean:
	rm -rf $(BUILD)
define HELP
make              build/terraform-provider-gpudev
make quick        that and the unit tests: what every commit must pass
make unit         the unit tests alone
make test         everything that CI runs; installs what it needs
make testacc      the acceptance tests on real parts; TESTS=tests/acc/test_story.sh names some
make demo         the story of README on local real parts; demo-shell: play on there; demo-stop: end it
make bench        the figures: start-up, plans, builds
make release      build/release/: one static binary for other machines
make install      into PREFIX, by default ~/.terraform.d/plugins
make docs         docs/ anew, from the tables of provider/ and examples/; docs-check: are they fresh?
make lint         banned functions, lengths, the layers; fmt and fmt-check: clang-format
make fuzz-X       libFuzzer on tests/fuzz/fuzz_X.c; fuzz-replay: every corpus
make deps         the packages that building needs
make clean        removes build/
CC=clang, SANITIZE=address,undefined and SANITIZE=thread go with all and unit.
endef
export HELP
help:
	@echo "$$HELP"

# Of this variant alone: build/demo holds whole file systems.
-include $(shell find $(OBJ) -type f -name '*.d' 2>/dev/null)
