# `make demo` shows streamd at work, `make test` runs every check, `make bench` measures.
.DELETE_ON_ERROR:
SHELL := /bin/bash
VENV := .venv
RUN := $(VENV)/bin/python -m
# Most tests wait for something, so there may be more of them than processors.
WORKERS ?= 6

.PHONY: demo test lint bench docs packages test-packages clean

demo: packages $(VENV)/installed
	@exec $(VENV)/bin/python docs/demo.py

test: test-packages lint
	$(RUN) pytest -n $(WORKERS) --dist worksteal $(PYTEST)

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) mypy
	$(VENV)/bin/lint-imports

bench: test-packages $(VENV)/installed
	$(RUN) tests.bench

docs: $(VENV)/installed
	$(RUN) streamd.config.reference_docs

packages:
	@.ci/packages demo

test-packages:
	@.ci/packages test

# uv comes from PyPI, so that a Debian without it needs nothing else.
$(VENV)/installed: pyproject.toml uv.lock | packages
	@test -x $(VENV)/bin/uv || { python3 -m venv $(VENV) && \
		$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	@VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv sync --frozen --inexact --quiet
	@touch $@

clean:
	rm -rf $(VENV) .demo
