"""checkov over every template of this checkout, and over one with mistakes: these are found, and nothing else."""

import subprocess
from pathlib import Path

import pytest

from local import scan
from local.build import ROOT

TEMPLATE = scan.TEMPLATES[0]
ROLE = "  AuthorizerRole:\n    Type: AWS::IAM::Role\n"
READS_THE_TABLE = "Action: dynamodb:BatchGetItem\n              Resource: !GetAtt RevocationTable.Arn\n"
MISTAKES = {  # what is right in template.yaml → what is wrong
    "-authorizer\n      RetentionInDays: !Ref LogRetentionDays\n": "-authorizer\n",  # whatever the parameters
    "Properties: {KmsMasterKeyId: alias/aws/sns}": "Properties: {TopicName: plain}",  # with EnableRevocationTopic alone
    READS_THE_TABLE: 'Action: dynamodb:PutItem\n              Resource: "*"\n',  # in an Fn::If, with EnableRevocation
    "\nConditions:\n": '\nConditions:\n  Never: !Equals ["a", "b"]\n',
    ROLE: f"{ROLE}    Condition: Never\n",  # with no parameters at all
}


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template with these mistakes, and a file that is not Terraform."""
    folder = tmp_path_factory.mktemp("mistaken")
    text = TEMPLATE.read_text()
    for right, wrong in MISTAKES.items():
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    (folder / "template.yaml").write_text(text)
    (folder / "broken.tf").write_text('resource "aws_sqs_queue" {')
    return folder


@pytest.fixture(scope="module")
def findings(mistaken: Path) -> list[str]:
    """Of one run, since checkov takes seconds to start."""
    subprocess.run(["make", ".venv/checkov/ready"], cwd=ROOT, check=True)  # noqa: S607 - our own
    return scan.scan([*scan.TEMPLATES, mistaken / "template.yaml"], [*scan.TERRAFORM, mistaken / "broken.tf"])


def test_nothing_is_found_in_our_templates(findings: list[str], mistaken: Path) -> None:
    assert [line for line in findings if not line.startswith(f"{mistaken}/")] == []


def test_each_mistake_is_found_and_so_is_what_checkov_does_not_look_at(findings: list[str], mistaken: Path) -> None:
    found = [line.removeprefix(f"{mistaken}/") for line in findings if line.startswith(f"{mistaken}/")]
    assert [line.partition(" Ensure")[0] for line in found] == [
        "broken.tf: checkov cannot read it",
        "template.yaml: AWS::IAM::ManagedPolicy.SettingsPolicy: CKV_AWS_111",
        "template.yaml: AWS::IAM::Role.AuthorizerRole: checkov did not look at it",
        "template.yaml: AWS::Logs::LogGroup.AuthorizerLogGroup: CKV_AWS_66",
        "template.yaml: AWS::SNS::Topic.RevocationTopic: CKV_AWS_26",
    ]
