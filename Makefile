# make lab    everything set up, and JupyterLab opens on the first notebook
# make test   everything set up, and every test and notebook runs
# make quick  everything set up, and the tests run that need neither a notebook nor a browser, without the slow ones
# make report everything set up, and all models compared on a page
#
# Needs Python 3.11 or newer, make, and a network while it installs. Works with GNU make 3.81, which macOS has.

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
INSTALL := $(PY) -m pip install -c constraints.txt

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# OpenMP threads that spin while they wait slow small models down forty times beside a busy neighbour.
export OMP_WAIT_POLICY := PASSIVE
# Two processes with one thread each test more in a minute than one process with two threads.
WORKERS := 2
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Candidates are tried by running them: a pyenv shim exists for versions that are not there, and some
# systems package Python without venv.
ifdef PYTHON
CANDIDATES := "$(PYTHON)"
else
CANDIDATES := python3.13 python3.12 python3.11 python3 python
endif
FIND_PYTHON = for python in $(CANDIDATES); do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; done; \
	test -n "$$python" || { echo "seglab needs Python 3.11 or newer with its venv module, and none of these is one:" \
	'$(CANDIDATES).' "Install one, or say where it is: make PYTHON=/path/to/python" >&2; exit 1; }

# An environment is sound when its Python runs, has pip, and finds *this* seglab: not so after an interrupted
# set-up, an upgrade of the system's Python, or when the folder was moved or copied. Then the set-up runs again.
SOUND := $(shell $(PY) -I -c 'import os, pip, seglab; print(os.path.samefile(os.path.dirname(seglab.__file__), "seglab"))' 2>/dev/null)
ifneq ($(SOUND),True)
.PHONY: $(READY) $(READY_TO_TEST)
endif

define ENVIRONMENT
$(PY) -I -c 'import pip' 2>/dev/null || { $(FIND_PYTHON); \
	echo "Setting up $(VENV) with $$("$$python" --version): some minutes and about 6 GB, the first time only."; \
	"$$python" -m venv --clear $(VENV); }
endef

.DEFAULT_GOAL := help
.PHONY: help setup lab test quick report check notebooks bench constraints

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1	\2/p' Makefile | while read -r name words; do \
		printf '  make %-12s %s\n' "$$name" "$$words"; done

setup: $(READY) ## the environment in .venv, with seglab and all that it needs

lab: setup ## JupyterLab on the first notebook
	@$(PY) -m seglab lab

test: $(READY_TO_TEST) ## all tests, and all notebooks run against their committed outputs
	$(PYTEST) tests notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout=300 \
		--nbval-sanitize-with tests/nbval.cfg

quick: $(READY_TO_TEST) ## the tests that need neither notebook nor browser, without the slow ones: three minutes
	$(PYTEST) tests -m "not slow and not browser"

report: setup ## all minis evaluated on Toytown, as a page: reports/toytown/index.html
	@$(PY) -m seglab report --out reports/toytown

check: $(READY_TO_TEST) ## style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

notebooks: $(READY) ## run every notebook in place and keep its outputs
	$(PY) -m seglab.course.notebooks run notebooks/*.ipynb

bench: $(READY_TO_TEST) ## every benchmark, one after another (studies, which take hours, are in benchmarks/studies)
	@for file in $(filter-out benchmarks/common.py,$(wildcard benchmarks/*.py)); do echo "$$file"; $(PY) "$$file" || exit 1; done

constraints: ## constraints.txt anew, from the newest versions
	@$(FIND_PYTHON); fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	"$$python" -m venv "$$fresh" && "$$fresh/bin/python" -m pip install --quiet '.[test]' && \
	{ sed -n '/^#/p' constraints.txt | sed "s/^# Made with .*/# Made with $$("$$python" --version) on $$(uname -sm)./"; \
	  "$$fresh/bin/python" -m pip freeze --exclude seglab; } > "$$fresh/constraints.txt" && \
	cp "$$fresh/constraints.txt" constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(ENVIRONMENT)
	$(INSTALL) -e '.[fast]' || { echo "Some runtimes have no package for this machine; torch is used."; $(INSTALL) -e .; }
	@touch $@

$(READY_TO_TEST): pyproject.toml constraints.txt
	@$(ENVIRONMENT)
	$(INSTALL) -e '.[test]'
	@touch $(READY) $@
