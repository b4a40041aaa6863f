PYTHON ?= python3
# .ci/run points VENV at a fresh folder, so that it runs these same targets.
VENV ?= .venv
STAMP := $(VENV)/.stamp
SIMS ?= sims/*.py
DEMO ?= map --x u=0:4:25 --y v2=0:4:25 --n1 200 --alpha 1 --seeds 16 --theory --out results/demo

.PHONY: demo test lint figures clean

demo: $(STAMP)
	$(VENV)/bin/pt-jax $(DEMO)

test: $(STAMP)
	$(VENV)/bin/python -m pytest tests

lint: $(STAMP)
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m mypy

# From the CSVs; RERUN=1 computes them anew, QUICK=1 a coarse version in results. SIMS='sims/map_*.py' takes only some.
figures: $(STAMP)
	for script in $(SIMS); do $(VENV)/bin/python $$script $(if $(QUICK),--quick,$(if $(RERUN),,--redraw)) || exit 1; done
	$(VENV)/bin/python -m pt_jax.report.gallery figures

# The stamp is touched last: an install that stops halfway is done again on the next call.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

# .venv by name, not $(VENV): a mistyped VENV must never be deleted.
clean:
	rm -rf .venv results
