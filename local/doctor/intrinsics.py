"""CloudFormation's intrinsic functions, as far as a template alone can answer them.

Unknown values stay readable: `${Api}` for a reference, `${Api.Arn}` for an attribute.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Json = Any  # a part of a template


class Resolver:
    """Answers by the parameters' values and the conditions of one template."""

    def __init__(self, parameters: Mapping[str, str], conditions: Mapping[str, Json]) -> None:
        """`parameters` are those whose value is known."""
        self._parameters, self._conditions = parameters, conditions
        self._functions: dict[str, Callable[[Json], Json]] = {
            "Ref": self._ref,
            "Condition": self.holds,
            "Fn::Sub": self._sub,
            "Fn::GetAtt": lambda given: f"${{{given if isinstance(given, str) else '.'.join(map(str, given))}}}",
            "Fn::If": self._if,
            "Fn::Join": lambda given: str(given[0]).join(map(text, self.resolve(given[1]) or [])),
            "Fn::ImportValue": lambda given: f"${{import {text(self.resolve(given))}}}",
            "Fn::Equals": lambda given: self.resolve(given[0]) == self.resolve(given[1]),
            "Fn::Not": lambda given: not self._is_true(given[0]),
            "Fn::And": lambda given: all(map(self._is_true, given)),
            "Fn::Or": lambda given: any(map(self._is_true, given)),
        }

    def resolve(self, value: Json) -> Json:
        """The value without intrinsic functions; None for `AWS::NoValue`, whose members and items are left out."""
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not None]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            name, given = next(iter(value.items()))
            if name in self._functions:
                return self._functions[name](given)
            if str(name).startswith("Fn::"):
                return f"${{{name}}}"
        resolved = {name: self.resolve(one) for name, one in value.items()}
        return {name: one for name, one in resolved.items() if one is not None}

    def holds(self, name: str) -> bool:
        """Whether a condition holds. One that is not there does."""
        return self._is_true(self._conditions[name]) if name in self._conditions else True

    def _is_true(self, condition: Json) -> bool:
        return self.resolve(condition) is True

    def _ref(self, name: str) -> Json:
        return None if name == "AWS::NoValue" else self._parameters.get(name, f"${{{name}}}")

    def _sub(self, given: Json) -> str:
        template, own = given if isinstance(given, list) else (given, {})
        values = {name: text(self.resolve(value)) for name, value in own.items()}
        return re.sub(r"\$\{([^!}][^}]*)\}", lambda found: self._substituted(found[1], values), str(template))

    def _substituted(self, name: str, values: Mapping[str, str]) -> str:
        return values[name] if name in values else text(self._ref(name))

    def _if(self, given: Json) -> Json:
        return self.resolve(given[1] if self.holds(given[0]) else given[2])


def text(value: Json) -> str:
    """A resolved value as text."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, default=str)
