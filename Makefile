# Two commands matter: `make run` shows what Nightloom does, `make test` proves it.

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin
UV := UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode
# What is installed is what requirements.lock pins, with its hashes checked.
LOCKED := --constraint requirements.lock --verify-hashes
HOME_FOR_RUN := $(CURDIR)/.nightloom

.PHONY: run test check audit bench up lock clean faults gpu wheels

run: .venv/.run
	@$(BIN)/python -m deployments.sample $(HOME_FOR_RUN)/inbox
	@NIGHTLOOM_HOME=$(HOME_FOR_RUN) $(BIN)/nightloom run nightly
	@$(BIN)/python -m deployments.sample --next-steps

up: .venv/.run
	@NIGHTLOOM_HOME=$(HOME_FOR_RUN) $(BIN)/nightloom up

# A file's tests stay together, so that what they share is set up once.
test: .venv/.test
	NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m cudasim
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not cudasim and not gpu and not gpu_cluster and not faults_long"

check: .venv/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	@$(MAKE) --silent audit

# What is known against the pinned versions; a machine that cannot reach the list says so.
audit: .venv/.test
	@$(BIN)/pip-audit --no-deps --disable-pip --progress-spinner off -r requirements.lock > .venv/audit.log 2>&1 \
	  && { grep -i "vulnerabilit" .venv/audit.log; \
	    echo "$$(grep -c 'could not be audited' .venv/audit.log) packages are not in the list that answered"; } || { grep -q "Max retries\|NameResolution\|ConnectTimeout" .venv/audit.log \
	  && echo "dependencies were not audited: the list of known vulnerabilities cannot be reached" || { cat .venv/audit.log; exit 1; }; }

bench: .venv/.test
	$(BIN)/python -m benchmarks $(ONLY) --runs $(or $(RUNS),1) $(if $(TAKE),--take $(TAKE))

faults: .venv/.test
	$(BIN)/python -m pytest -q -m "faults_long"

gpu: .venv/.test
	$(BIN)/python -m pytest -q -m gpu
	$(BIN)/python -m pytest -q -m gpu_cluster

wheels: .venv/.uv
	sh deployments/wheels.sh $(BIN)/python

lock: .venv/.uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra test --extra slurm --extra kubernetes --extra gpu pyproject.toml -o requirements-gpu.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra test --extra slurm --extra kubernetes -c requirements-gpu.lock pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .nightloom .pytest_cache .ruff_cache .hypothesis

.venv/.uv:
	@test -n "$(PYTHON)" || { echo "no Python was found; install Python 3.11, 3.12 or 3.13"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("Python %d.%d was found, 3.11 to 3.13 is needed: make PYTHON=/path/to/python3.11" % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	@touch $@

.venv/.run: .venv/.uv requirements.lock pyproject.toml
	$(UV) $(LOCKED) --editable . tensorly
	@touch $@

.venv/.test: .venv/.run
	$(UV) $(LOCKED) --editable '.[test]'
	@touch $@
