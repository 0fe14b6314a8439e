"""A deployed stack, as AWS describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.command_line import CommandFailed
from local.configuration import Environment

HIDDEN = "****"  # what CloudFormation says of a NoEcho parameter
PATIENCE = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})
FAILED_AT_BIRTH = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"}


class Aws:
    """Clients with the user's own credentials, for one environment's region."""

    def __init__(self, region: str | None) -> None:
        """Without a region, that of the AWS settings."""
        self._session = boto3.Session(region_name=region)
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str:
        """Where the clients look."""
        return self._session.region_name or "no region"

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients' methods at run time
        """The client of a service, made once."""
        if service not in self._clients:
            make: Any = self._session.client  # its stubs want the service's name spelt out
            try:
                self._clients[service] = make(service, config=PATIENCE)
            except ValueError as error:  # botocore's word for it
                raise CommandFailed(f"AWS_ENDPOINT_URL or the region is wrong: {error}") from None
        return self._clients[service]


@dataclass(frozen=True)
class Stack:
    """Name, state, parameters and outputs of a stack."""

    name: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @classmethod
    def find(cls, aws: Aws, name: str) -> Self | None:
        """The stack of that name, None if there is none."""
        try:
            found = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise
        return cls(
            name=name,
            status=found["StackStatus"],
            parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", [])},
            outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])},
        )

    @classmethod
    def of(cls, aws: Aws, environment: Environment) -> Self:
        """The deployed stack of an environment. Raises `CommandFailed` if it is not deployed."""
        stack = cls.find(aws, environment.stack())
        if stack is None or stack.status in FAILED_AT_BIRTH:
            name, region = environment.stack(), aws.region
            raise CommandFailed(
                f"there is no stack {name} in this account, {region}: make deploy ENV={environment.name}"
            )
        return stack

    @property
    def function(self) -> str:
        """ARN of the function, without alias."""
        return self._output("FunctionArn")

    @property
    def alias(self) -> str:
        """ARN of the alias that APIs call."""
        return self._output("AuthorizerArn")

    def _output(self, name: str) -> str:
        if name not in self.outputs:
            raise CommandFailed(f"stack {self.name} has no output {name} ({self.status}): is it one of this project?")
        return self.outputs[name]
