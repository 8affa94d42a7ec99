# Every target makes .venv if it is missing and needs nothing done by hand. On a machine with an NVIDIA card, torch is not constrained.
PYTHON ?= python3
CONSTRAINTS ?= $(if $(shell command -v nvidia-smi),,-c constraints-cpu.txt)
BIN := .venv/bin
# Two test workers with one thread each: with more threads than cores, small matrix products wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo demo-t2i test check bench test-slow format clean

demo: .venv/germline
	$(BIN)/germline study demo --out runs/demo
	$(BIN)/germline report runs/demo --out demo.html

demo-t2i: .venv/germline-t2i
	$(BIN)/germline study demo-t2i --out runs/demo-t2i
	$(BIN)/germline report runs/demo-t2i --out demo-t2i.html

test: .venv/germline-dev
	$(ONE_THREAD) $(BIN)/pytest -n 2

test-slow: .venv/germline-dev
	$(BIN)/pip install --quiet $(CONSTRAINTS) --editable '.[test-slow]'
	$(ONE_THREAD) $(BIN)/pytest -n 2 -m slow

check: .venv/germline-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src
	$(BIN)/pytest tests/contract/test_layers.py

bench: .venv/germline-dev
	for file in benchmarks/*.py; do echo "== $$file"; $(ONE_THREAD) $(BIN)/python $$file || exit 1; done

format: .venv/germline-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv demo.html demo-t2i.html

# torch goes first, so that nothing that asks for torch fetches another build of it.
.venv/germline: pyproject.toml constraints-cpu.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(CONSTRAINTS) torch
	$(BIN)/pip install --quiet $(CONSTRAINTS) --editable .
	touch $@

.venv/germline-t2i: .venv/germline
	$(BIN)/pip install --quiet $(CONSTRAINTS) --editable '.[t2i]'
	touch $@

.venv/germline-dev: .venv/germline
	$(BIN)/pip install --quiet $(CONSTRAINTS) --editable '.[test,check]'
	touch $@
