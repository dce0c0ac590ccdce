#!/usr/bin/env sh
# Everything a GPU machine without internet needs, in one folder of about 4 GB: run `make wheels` here, copy the checkout
# with the folder there, and then
#
#   python3.11 -m venv .venv
#   .venv/bin/python -m pip install --no-index --find-links wheels --require-hashes -r requirements-gpu.lock
#   .venv/bin/python -m pip install --no-index --find-links wheels hatchling editables
#   .venv/bin/python -m pip install --no-index --no-deps --no-build-isolation --editable .
#   .venv/bin/python -m pytest -m "gpu or gpu_cluster" && .venv/bin/python -m benchmarks.gpu
#
# Wheels are made for one Python version and one kind of processor: both must be those of that machine.
set -eu
python=${1:-.venv/bin/python} folder=${2:-wheels} lock=${3:-requirements-gpu.lock}
"$python" -m pip download --quiet --only-binary :all: --require-hashes --dest "$folder" -r "$lock"
# What builds the editable install is no part of the lock.
"$python" -m pip download --quiet --only-binary :all: --dest "$folder" hatchling editables
