# `make` lists the commands. Each one first brings .venv up to date with the locks.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
export SAM_CLI_TELEMETRY := 0

VENV := .venv
PYTHON := $(VENV)/bin/python
PYTHON3 ?= python3
READY := $(VENV)/ready
UV_SYNC := $(VENV)/bin/uv pip sync --quiet --require-hashes
OR_OFFLINE = || { echo "make setup: packages could not be installed. Without a network? Try again later."; exit 1; }
# ENV only if it was given: without it, doctor looks at no environment.
OWN_ENV := $(if $(filter command environment,$(firstword $(origin ENV))),--env '$(ENV)')
ENV ?= dev
PORT ?= 8700
# demo and local deploy the rules of the examples unless RULES is given.
OWN_RULES := $(if $(filter command environment,$(firstword $(origin RULES))),--rules '$(RULES)')
RULES ?= rules.toml
# No shell between make and these commands: it would keep a SIGTERM from them.
sam invoke build deploy: export RULES ?= rules.toml
TEMPLATES := template.yaml $(wildcard local/ask_aws/*.yaml examples/*.yaml examples/attach/sam-*.yaml)
SOURCES := authorizer examples local tests $(wildcard benchmarks)

.PHONY: help setup lock demo live test check format doctor hanko token invoke local bench keys build deploy replay clean
.PHONY: dist package scan sam ask-aws soak test-docker test-live explain check-token init smoke status logs rollback destroy
.PHONY: build-AuthorizerFunction build-WebhookFunction mutants fuzz differential

##@ Try

demo: $(READY) ## Deploy into a local AWS, send real requests, print the answers ## [RULES=file]
	@$(PYTHON) -m local.demo $(OWN_RULES)

local: $(READY) ## Keep a local AWS with everything deployed until Ctrl-C ## [EMPTY=1] [RULES=file] [PAGE_PORT=…]
	@$(PYTHON) -m local.serve $(OWN_RULES) $(if $(EMPTY),--empty) $(if $(PAGE_PORT),--page-port $(PAGE_PORT))

live: $(READY) ## The same with your own Hanko ## HANKO_API_URL=… HANKO_AUDIENCE=… [PAGE_PORT=8443]
	@$(PYTHON) -m local.live --api-url '$(HANKO_API_URL)' --audience '$(HANKO_AUDIENCE)' $(OWN_RULES) \
	$(if $(PAGE_PORT),--page-port $(PAGE_PORT))

hanko: $(READY) ## Serve a stand-in Hanko until Ctrl-C ## [PORT=8700] [TLS=1]
	@$(PYTHON) -m local.hanko --port $(PORT) $(if $(TLS),--tls)

token: $(READY) ## Print a fresh token of the running stand-in ## [DEFECT=name] [PORT=8700]
	@$(PYTHON) -m local.sign --token-only --hanko $(or $(HANKO_API_URL),http://127.0.0.1:$(PORT)) $(if $(DEFECT),--defect $(DEFECT))

sam: $(READY) ## Build for sam local invoke and sam local start-api ## [EXAMPLE=http-api] [RULES=file]
	@$(PYTHON) -m local.sam $(if $(EXAMPLE),--example $(EXAMPLE))

invoke: $(READY) ## Send a sample event through the built artifact ## EVENT=name [DEFECT=name] [RULES=file] [SAM=1]
	@$(PYTHON) -m local.invoke '$(EVENT)' $(if $(DEFECT),--defect $(DEFECT)) $(if $(SAM),--sam)

explain: $(READY) ## Tell which check decided about an event ## EVENT=name|file [ENV=…] [DEFECT=name]
	@$(PYTHON) -m local.explain '$(EVENT)' $(OWN_ENV) --rules '$(RULES)' $(if $(DEFECT),--defect $(DEFECT)) \
	$(if $(TOKEN),--token) $(if $(FULL),--full) $(if $(JSON),--json)

##@ Set up

setup: $(READY) ## Install everything into .venv, at pinned versions with hashes
	@echo "Next: make demo, which needs no AWS account, or make init ENV=prod"

# pip installs nothing but uv, which takes seconds where pip takes minutes. MiniStack pins another botocore than SAM CLI,
# so it has an environment of its own, with the same Python: it runs what is built for that one.
$(READY): requirements-uv.txt requirements-dev.txt requirements-ministack.txt
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "make setup: Python 3.11 or later is needed: make setup PYTHON3=/path/to/python3.13"; exit 1; }
	@$(PYTHON3) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "make setup: this Python cannot make virtual environments (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON3) -m venv $(VENV)
	@$(VENV)/bin/pip install -qq --disable-pip-version-check --require-hashes -r requirements-uv.txt $(OR_OFFLINE)
	@$(UV_SYNC) --python $(PYTHON) requirements-uv.txt requirements-dev.txt $(OR_OFFLINE)
	@$(PYTHON) -m venv --without-pip $(VENV)/ministack
	@$(UV_SYNC) --python $(VENV)/ministack/bin/python requirements-ministack.txt $(OR_OFFLINE)
	@touch $(READY)

# The AWS CLI, CDK and Node, which run what examples/attach/ shows. 600 MB: made by the tests that need it.
$(VENV)/attach/ready: requirements-attach.txt
	@$(PYTHON) -m venv --clear --without-pip $(VENV)/attach
	@$(UV_SYNC) --python $(VENV)/attach/bin/python requirements-attach.txt $(OR_OFFLINE)
	@$(PYTHON) tests/attaching.py $(VENV)/attach
	@touch $(VENV)/attach/ready

# atheris, with what it needs to import the code.
$(VENV)/fuzz/ready: requirements-fuzz.txt
	@$(PYTHON) -m venv --clear --without-pip $(VENV)/fuzz
	@$(UV_SYNC) --python $(VENV)/fuzz/bin/python requirements-fuzz.txt $(OR_OFFLINE)
	@touch $(VENV)/fuzz/ready

# checkov and the hundred packages that it pins: made by `make scan`.
$(VENV)/checkov/ready: requirements-checkov.txt $(READY)
	@$(PYTHON) -m venv --clear --without-pip $(VENV)/checkov
	@$(UV_SYNC) --python $(VENV)/checkov/bin/python requirements-checkov.txt $(OR_OFFLINE)
	@touch $@

init: $(READY) ## Write an environment into samconfig.toml ## [ENV=dev] [API_URL=…] [AUDIENCE=…] [YES=1]
	@$(PYTHON) -m local.init '$(ENV)' $(if $(API_URL),--api-url '$(API_URL)') $(if $(AUDIENCE),--audience '$(AUDIENCE)') \
	$(if $(ISSUER),--issuer '$(ISSUER)') $(if $(REGION),--region '$(REGION)') $(if $(YES),--yes)

keys: $(READY) ## Fetch an environment's keys into keys.json, for the artifact ## [ENV=dev]
	@$(PYTHON) -m local.keys_file '$(ENV)'

doctor: $(READY) ## Find mistakes in rules, settings, Hanko and your API ## [ENV=…] [TEMPLATE=…] [STACK=…]
	@$(PYTHON) -m local.doctor --rules '$(RULES)' $(OWN_ENV) \
	$(if $(TEMPLATE),--template '$(TEMPLATE)') $(if $(STACK),--stack '$(STACK)') $(if $(TOKEN),--token) $(if $(JSON),--json)

check-token: $(READY) ## Tell whether and why a session token passes ## [ENV=dev] [FULL=1] < token
	@$(PYTHON) -m local.explain '$(or $(EVENT),rest_request)' --env '$(ENV)' --token --rules '$(RULES)' \
	$(if $(FULL),--full) $(if $(JSON),--json)

##@ Run

build: $(READY) ## Build the artifact for an environment of samconfig.toml ## [ENV=dev] [RULES=rules.toml]
	@$(PYTHON) -m local.doctor --rules '$(RULES)' --brief
	@$(PYTHON) -m local.deploy '$(ENV)' --build-only

deploy: $(READY) ## Build and deploy an environment of samconfig.toml ## [ENV=dev] [RULES=…] [YES=1]
	@$(PYTHON) -m local.doctor --rules '$(RULES)' --brief
	@$(PYTHON) -m local.deploy '$(ENV)' $(if $(YES),--yes)

smoke: $(READY) ## Call the deployed authorizer: no token, a bad one, a good one ## [ENV=dev] [URL=…] [TOKEN=-]
	@$(PYTHON) -m local.smoke '$(ENV)' $(if $(URL),--url '$(value URL)') $(if $(TOKEN),--token)

status: $(READY) ## Print version, settings, alarms and last errors ## [ENV=dev]
	@$(PYTHON) -m local.status '$(ENV)'

logs: $(READY) ## Print the newest records ## [ENV=dev] [FOLLOW=1]
	@$(PYTHON) -m local.logs '$(ENV)' $(if $(FOLLOW),--follow)

rollback: $(READY) ## Go back to the version before ## [ENV=dev] [VERSION=7] [YES=1]
	@$(PYTHON) -m local.rollback '$(ENV)' $(if $(VERSION),--version '$(VERSION)') $(if $(YES),--yes)

destroy: $(READY) ## Delete the stack; say what stays ## [ENV=dev] [YES=1]
	@$(PYTHON) -m local.destroy '$(ENV)' $(if $(YES),--yes)

replay: $(READY) ## Write the revocations that wait in the dead-letter queue ## [ENV=dev]
	@$(PYTHON) -m local.replay --env '$(ENV)'

##@ Develop

test: $(READY) ## Run all tests, with the branch coverage of authorizer/
	$(VENV)/bin/coverage run -m pytest
	$(VENV)/bin/coverage report

ask-aws: $(READY) ## Ask your AWS account what its documents leave open ## [REGION=…] [ONLY=text] [YES=1]
	@$(PYTHON) -m local.ask_aws $(if $(REGION),--region '$(REGION)') $(if $(ONLY),--only '$(ONLY)') $(if $(YES),--yes)

# Hours on two cores, so it leaves them to others. ONLY is an expression of pytest's -k.
soak: export VERDICTS ?= 1000000
soak: export REUSED ?= 20000
soak: export STEPS ?= 100000
soak: export INVOCATIONS ?= 1000000
soak: export WEBHOOKS ?= 10000
soak: $(READY) ## Run the long tests at full length ## [ONLY=oracle] [STEPS=…] [WEBHOOKS=…]
	nice -n 19 $(PYTHON) -m pytest -s $(if $(ONLY),-k '$(ONLY)') tests/rules/test_oracle.py tests/rules/test_reuse.py \
	tests/test_life.py tests/test_soak.py tests/revocation/test_faulty_aws.py

test-docker: $(READY) ## Test sam local in an engine of its own, or yours ## [ENGINE=podman] [DOCKER_HOST=…]
	$(PYTHON) -m pytest -m docker tests/docker

# A Hanko that you run: docs/real-hanko.md.
test-live: $(READY) ## Test against a real Hanko ## HANKO_API_URL=… HANKO_AUDIENCE=… [WITHOUT=…]
	$(PYTHON) -m pytest -m live tests/live

# `sam validate` wants a region, whichever. For check alone: `deploy` takes the one of your AWS settings.
check: export AWS_DEFAULT_REGION ?= eu-west-1
check: $(READY) ## Run what CI runs but test-docker: format, lint, types, tests
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/ruff check $(SOURCES)
	MYPYPATH=tests $(VENV)/bin/mypy --explicit-package-bases $(SOURCES)
	$(VENV)/bin/zizmor --offline --quiet --pedantic .github/workflows
	$(VENV)/bin/sam validate --lint --template template.yaml
	$(VENV)/bin/cfn-lint $(TEMPLATES)
	$(MAKE) test
	$(VENV)/bin/pip-audit --require-hashes --disable-pip --progress-spinner off -r requirements.txt

mutants: $(READY) ## Change the code bit by bit: does a test notice? ## [ONLY=path] [TESTS=files] [AGAIN=1]
	@nice -n 19 $(PYTHON) -m local.mutants $(ONLY) $(if $(TESTS),--quick --tests $(TESTS)) $(if $(AGAIN),--again)

fuzz: SECONDS := $(or $(SECONDS),60)
fuzz: $(READY) $(VENV)/fuzz/ready ## Feed mutated inputs to the parsers ## [TARGET=tokens] [SECONDS=60]
	@PYTHONPATH=.:tests nice -n 19 $(VENV)/fuzz/bin/python -m fuzzing $(SECONDS) $(TARGET)

differential: COUNT ?= 2000
differential: $(READY) ## Compare verdicts with four other libraries ## [COUNT=2000]
	@PYTHONPATH=.:tests $(PYTHON) -m differential $(COUNT)

scan: $(VENV)/checkov/ready ## Scan the templates with checkov, with their options off and on
	@$(PYTHON) -m local.scan

format: $(READY) ## Format the code
	$(VENV)/bin/ruff check --fix-only --quiet $(SOURCES)
	$(VENV)/bin/ruff format $(SOURCES)

lock: $(READY) ## Write the locks after a change in pyproject.toml ## [UPGRADE=1]
	@$(PYTHON) -m local.lock $(if $(UPGRADE),--upgrade)

bench: $(READY) ## Measure this authorizer beside its peers ## [ONLY=section]
	$(PYTHON) -m benchmarks $(ONLY)

dist: $(READY) ## Build the library's wheel and sdist into dist/, and check them
	$(VENV)/bin/validate-pyproject pyproject.toml
	@rm -rf dist
	$(PYTHON) -m build --no-isolation
	$(VENV)/bin/twine check --strict dist/*

package: $(READY) ## Build a release into dist/: zips, sums, bills, library
	@$(PYTHON) -m local.package

clean: ## Delete what was built or cached, but not .venv
	rm -rf .aws-sam .local .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## List the commands
	@awk -F ' ## ' '/^##@ / {print substr($$0, 5)} /^[a-z-]+:.* ## / {sub(/:.*/, "", $$1); w = $$1 " " $$3; \
	printf "  make %-31s%s%s\n", w, (length(w) > 30 ? sprintf("\n%38s", "") : ""), $$2}' $(MAKEFILE_LIST)

# `sam build` calls this, with ARTIFACTS_DIR and nothing else; a plain `sam build` may do so before any `make setup`.
build-AuthorizerFunction build-WebhookFunction:
	$(if $(wildcard $(PYTHON)),$(PYTHON),python3) -m local.build "$(ARTIFACTS_DIR)"
