# Thin names over the real commands. Set-up is a chain of stages, each with a stamp in build/stamps, so
# that a second run takes seconds. `make help` lists the names.

PYTHON := /usr/bin/python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
STAMPS := build/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check
PACKAGES := gcc libc6-dev make python3 python3-dev python3-venv acpica-tools liburing-dev
NATIVE_SOURCES := $(wildcard cffi_build/*.py cffi_build/*.h cffi_build/*/*.h cffi_build/core/*/*.[ch])
# Headers of the lab's kernel, newer than the system's; the folder with linux/ and asm/ in it.
HEADERS = VMM_UAPI_INCLUDE=$$($(PYTHON) -m vmm.lab headers)

CORE_SOURCES := $(wildcard cffi_build/core/*/*.c)
CORE_HEADERS := $(wildcard cffi_build/*.h cffi_build/core/*.h cffi_build/core/*/*.h)
CORE_INCLUDES := -Icffi_build -Icffi_build/core $(patsubst %/,-I%,$(wildcard cffi_build/core/*/))
CORE_WARNINGS := -std=gnu11 -fsyntax-only -Wall -Wextra -Wconversion -Werror -Wno-unused-parameter \
	-DVMM_LIBURING $(CORE_INCLUDES)

# What clang-tidy looks for. Its checks of values along a path (clang-analyzer-core) are left out: they
# see one unit, and take for garbage what another fills.
TIDY_CHECKS := -*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,$\
	misc-redundant-expression,clang-analyzer-unix.*,clang-analyzer-deadcode.*,$\
	clang-analyzer-security.insecureAPI.*,$\
	-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling

C_FILES = $(CORE_SOURCES) $(CORE_HEADERS) $(wildcard tests/native/c/*.[ch] \
	tests/fuzz/*.[ch] guests/*/*.[ch])
FUZZ_SECONDS := 60

.DEFAULT_GOAL := all
.PHONY: all help boot bench test test-all check check-python check-native golden guests stub lint fuzz format clean distclean
.DELETE_ON_ERROR:

all: $(STAMPS)/native guests ## build everything: environment, C core, guests

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

boot: all ## boot a stock Linux kernel to a shell (here, or in the lab)
	@$(BIN)/python -m vmm.lab.bootcmd

test: all $(STAMPS)/clang ## every test; those this host cannot run go to the lab
	@echo "vmm: running the tests" >&2
	$(BIN)/python -m pytest $(TESTFLAGS)

test-all: all $(STAMPS)/clang ## as test, with every combination instead of the pairwise choice
	@echo "vmm: running the tests, all combinations" >&2
	VMM_TESTS=all $(BIN)/python -m pytest $(TESTFLAGS)

lint: $(STAMPS)/native $(STAMPS)/clang $(STAMPS)/tidy ## ruff, mypy --strict, clang-format and -tidy, the stub, warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@echo "clang-format --dry-run -Werror" >&2
	@$(BIN)/clang-format --dry-run -Werror $(C_FILES)
	$(BIN)/python -m cffi_build.stubgen --check
	@$(HEADERS) && for cc in gcc clang; do \
		echo "$$cc -Wall -Wextra -Wconversion -Werror cffi_build/core/*/*.c" >&2; \
		$$cc $(CORE_WARNINGS) -isystem $$VMM_UAPI_INCLUDE $(CORE_SOURCES) || exit 1; \
	done

check: $(STAMPS)/native $(STAMPS)/clang ## lint and the tests that need no KVM; under a minute
	@$(MAKE) --no-print-directory -j2 --output-sync check-native lint check-python

check-python:
	$(BIN)/python -m pytest -q tests/unit tests/golden

check-native:
	$(BIN)/python -m pytest -q tests/native tests/abi

golden: $(STAMPS)/native ## rewrite the golden dumps; review them with git diff
	VMM_GOLDEN=refresh $(BIN)/python -m pytest -q tests/golden

format: $(STAMPS)/native ## reformat Python and C sources
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

bench: all ## costs beside QEMU and a bare C loop, in instructions; BENCHFLAGS="--suite exits --compare OLD.json"
	$(BIN)/python -m tests.benchmarks $(BENCHFLAGS)

fuzz: $(STAMPS)/native $(STAMPS)/clang ## libFuzzer on the C core, FUZZ_SECONDS for each target (60)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

stub: $(STAMPS)/native ## rewrite vmm/_native.pyi from the cdef
	$(BIN)/python -m cffi_build.stubgen

guests: $(STAMPS)/packages ## the tiny guests
	@$(MAKE) -s --no-print-directory -C guests

clean: ## remove what was built; the environment and the cache of packages stay
	rm -rf build vmm/_native*.so vmm/_native.*.c *.egg-info
	$(MAKE) --no-print-directory -C guests clean

distclean: clean ## remove the environment too
	rm -rf $(VENV)

# --- Set-up -------------------------------------------------------------------------------------

$(STAMPS)/packages: vmm/host/system-packages.sh Makefile
	@echo "vmm: looking for system packages" >&2
	@sh vmm/host/system-packages.sh $(PACKAGES)
	@mkdir -p $(@D) && touch $@

# For lint, and for libFuzzer, in the tests too.
$(STAMPS)/clang: vmm/host/system-packages.sh Makefile
	@sh vmm/host/system-packages.sh clang clang-tidy libclang-rt-14-dev
	@mkdir -p $(@D) && touch $@

# Only what has changed since it was last found clean.
$(STAMPS)/tidy: $(CORE_SOURCES) $(CORE_HEADERS) Makefile $(STAMPS)/clang
	@echo "clang-tidy cffi_build/core/*/*.c" >&2
	@$(HEADERS) && clang-tidy --quiet --warnings-as-errors='*' -checks='$(TIDY_CHECKS)' \
		$(if $(filter-out %.c,$?),$(CORE_SOURCES),$(filter %.c,$?)) -- -std=gnu11 $(CORE_INCLUDES) \
		-DVMM_LIBURING -isystem $$VMM_UAPI_INCLUDE 2>build/tidy.log || { cat build/tidy.log; exit 1; }
	@touch $@

$(STAMPS)/venv: $(STAMPS)/packages
	@echo "vmm: preparing the virtual environment .venv" >&2
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -q 'setuptools>=66' wheel 'cffi>=1.17'
	@touch $@

# Says more the first time, when there is much to download.
$(STAMPS)/native: pyproject.toml setup.py vmm/bin/vmm $(NATIVE_SOURCES) $(STAMPS)/venv
	@echo "vmm: installing vmm and what it depends on into .venv, building the C core" >&2
	@$(HEADERS) && export VMM_UAPI_INCLUDE && \
		$(PIP) install $(if $(wildcard $@),-q) --no-build-isolation \
		--config-settings editable_mode=compat -e '.[dev]'
	@touch $@
