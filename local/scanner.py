"""The part of `make scan` that the Python of .venv/checkov runs: checkov's results for each file of the command line.

Each file has a run of its own. In one run for several templates, the conditions of one can decide what checkov looks
at in another one that has a condition of the same name (checkov 3.3.30).
"""

import json
import sys

from checkov.cloudformation.checks.resource.registry import cfn_registry
from checkov.cloudformation.runner import Runner as CloudFormation
from checkov.runner_filter import RunnerFilter
from checkov.terraform.runner import Runner as Terraform


def scan(file: str) -> dict[str, object]:
    """What was found, and which resources were looked at, as `Type.Name`."""
    runner, framework = (Terraform(), "terraform") if file.endswith(".tf") else (CloudFormation(), "cloudformation")
    report = runner.run(None, files=[file], runner_filter=RunnerFilter(framework=[framework]))
    results = [*report.passed_checks, *report.failed_checks, *report.skipped_checks]
    return {
        "readable": not report.parsing_errors,
        "found": [f"{one.resource}: {one.check_id} {one.check_name}" for one in report.failed_checks],
        "looked_at": sorted({one.resource for one in results}),
    }


if __name__ == "__main__":
    reports = {file: scan(file) for file in sys.argv[1:]}
    json.dump({"known_types": list(cfn_registry.checks), "reports": reports}, sys.stdout)
