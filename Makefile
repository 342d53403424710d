# make demo | report | docs | test | quick | bench | bench-peers | campaign | zoo | mutants | lint | help.  VENV= names another environment, PYTHON= another
# interpreter, CONSTRAINTS= a file of pins to install with (tests/helpers/oldest.txt).
PYTHON ?= python3
VENV ?= .venv
PROFILE ?= quick
CONSTRAINTS ?=
RUN := $(VENV)/bin/python

.PHONY: help demo report docs test quick bench bench-peers campaign zoo mutants lint notebook

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## every figure of the paper into results/ (PROFILE=quick, or PROFILE=full)
	PROFILE=$(PROFILE) $(RUN) tools/execute_notebook.py demo.ipynb --html results/demo.html

report: $(VENV)/.demo  ## each claim of the paper measured and judged: results/report.html, docs/reproduction.md, docs/to_the_authors.md
	$(RUN) -m multifractal.reproduction --record experiments/results/reproduction.json
	$(RUN) tools/tables.py reproduction.md to_the_authors.md

docs: $(VENV)/.all  ## the site into docs/_build/html, offline; a warning is an error
	$(RUN) -m sphinx -q -W --keep-going -b html docs docs/_build/html

test: $(VENV)/.all  ## the test suite, ruff and mypy in it, in the environment of requirements.txt
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: $(VENV)/.all lint  ## ruff and the fast part of the suite, on each change: under 90 s on two cores
	$(RUN) -m pytest -q -n 2 --dist loadfile -m "quick and not slow"

bench: $(VENV)/.all  ## time every kernel against its naive twin; updates docs/benchmarks.md
	$(RUN) -m benchmarks

bench-peers: $(VENV)/.peers  ## sections and products beside five other packages, the model beside the obvious lines; updates docs/benchmarks.md
	$(VENV)-peers/bin/python -W ignore -m benchmarks.peers --record
	$(RUN) -m benchmarks obvious

campaign: $(VENV)/.all  ## the reliability campaign, resumable, hours; updates docs/reliability.md
	$(RUN) -m campaign

mutants: $(VENV)/.all  ## slips tried on the tests, resumable, hours; updates docs/reliability.md (MUTANTS=--help)
	$(RUN) tools/mutants.py $(MUTANTS)

zoo: $(VENV)/.all  ## every network of the zoo under every probe against brute force, resumable; writes docs/zoo.md
	$(RUN) tools/zoo.py

lint: $(VENV)/.all  ## ruff and mypy
	$(RUN) -m ruff check .
	$(RUN) -m mypy

notebook: $(VENV)/.demo  ## execute demo.ipynb and keep its outputs in the file
	PROFILE=$(PROFILE) $(RUN) tools/execute_notebook.py demo.ipynb --in_place

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing, or older than Python 3.11; name another: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "installing the demo's environment into $(VENV): once, about 1 GB, a minute or two"
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[demo,training]'
	@touch $@

# the peers' own requirements would change ours: they are installed beside them, in an environment that also sees ours
$(VENV)/.peers: $(VENV)/.all
	$(VENV)/bin/python -m venv $(VENV)-peers
	$(RUN) -c 'import site; print(site.getsitepackages()[0])' > \
	  "$$($(VENV)-peers/bin/python -c 'import site; print(site.getsitepackages()[0])')/ours.pth"
	-$(VENV)-peers/bin/python -m pip install --quiet --no-deps --disable-pip-version-check pyhessian loss-landscapes hessian-eigenthings
	-$(VENV)-peers/bin/python -m pip install --quiet --no-deps --no-build-isolation --disable-pip-version-check \
	  landscaper nglpy nglpy-cuda topopy treelib coloraide drawsvg gudhi
	@touch $@

$(VENV)/.all: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing everything into $(VENV), torch included: once, about 6 GB, three to ten minutes"
	$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt \
	  $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --editable .
	@touch $@
