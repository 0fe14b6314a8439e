"""template.yaml after the SAM transform, and the promises of the examples. test_docs.py compares the settings."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]  # ships no types
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]  # ships no types

from authorizer import startup
from authorizer.config import Settings
from authorizer.errors import Reason
from authorizer.revocation import check, table, writer

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
INLINE = [path for path in EXAMPLES if "ZipFile:" in path.read_text()]  # the other backends: tests/examples
POLICY_DESCRIPTION_LIMIT = 1000  # IAM, CreatePolicy
POLICY_NAME_LIMIT = 128  # IAM, CreatePolicy: CloudFormation shortens the names that it makes
VERSION_DESCRIPTION_LIMIT = 256  # Lambda, PublishVersion
SETTINGS = {"HankoApiUrl": "https://hanko.example.com", "HankoAudience": "example.com"}
Json = dict[str, Any]


class NoManagedPolicies:
    """The transform asks IAM for the managed policies that it would add; it must not want any."""

    def load(self) -> Json:
        return {}


def template(path: Path = ROOT / "template.yaml") -> Json:
    parsed: Json = yaml_parse(path.read_text())
    return parsed


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> Json:
    """What CloudFormation gets to see."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    built = template()
    for name in ("AuthorizerFunction", "WebhookFunction"):
        built["Resources"][name]["Properties"]["CodeUri"] = "s3://bucket/key"
    transformed: Json = transform(built, SETTINGS, NoManagedPolicies())["Resources"]
    return transformed


def test_the_console_has_a_group_and_a_label_for_every_parameter() -> None:
    interface = template()["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template()["Parameters"])
    assert sorted(interface["ParameterLabels"]) == sorted(template()["Parameters"])


def statements(policy: Json) -> list[Json]:
    """A policy's statements, those that hang on a condition included."""
    return [one["Fn::If"][1] if "Fn::If" in one else one for one in policy["PolicyDocument"]["Statement"]]


def test_the_transform_adds_version_alias_and_the_receivers_url_and_nothing_else(resources: Json) -> None:
    added = [
        (one["Type"], one.get("Condition")) for name, one in resources.items() if name not in template()["Resources"]
    ]
    assert sorted(added, key=str) == [
        ("AWS::Lambda::Alias", None),
        ("AWS::Lambda::Permission", "HasRevocation"),
        ("AWS::Lambda::Permission", "HasRevocation"),
        ("AWS::Lambda::Url", "HasRevocation"),
        ("AWS::Lambda::Version", None),
    ]


def test_the_function_may_write_its_own_log_read_the_table_and_no_more(resources: Json) -> None:
    role = resources["AuthorizerRole"]["Properties"]
    assert role["ManagedPolicyArns"] == [{"Ref": "SettingsPolicy"}, {"Ref": "SandboxPolicy"}]
    assert "Policies" not in role
    assert resources["AuthorizerFunction"]["Properties"]["Role"] == {"Fn::GetAtt": ["AuthorizerRole", "Arn"]}
    write, rules, table = resources["SettingsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    create, tracing, key, network = resources["SandboxPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    group = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${AuthorizerLogGroup}:*"
    for log, action in ((write, "logs:PutLogEvents"), (create, "logs:CreateLogStream")):
        assert log == {"Effect": "Allow", "Action": action, "Resource": {"Fn::Sub": group}}
    assert rules["Fn::If"][0] == "HasRulesParameter"
    assert rules["Fn::If"][1]["Action"] == "ssm:GetParameter"
    assert rules["Fn::If"][1]["Resource"]["Fn::Sub"][0].endswith(":parameter${Path}")
    assert [one["Fn::If"][0] for one in (tracing, key, network)] == ["HasTracing", "HasEnvironmentKmsKey", "HasVpc"]
    read = {
        "Effect": "Allow",
        "Action": "dynamodb:BatchGetItem",
        "Resource": {"Fn::GetAtt": ["RevocationTable", "Arn"]},
    }
    assert table == {"Fn::If": ["HasRevocation", read, {"Ref": "AWS::NoValue"}]}


def test_the_receiver_may_write_its_log_the_table_and_the_queue_and_read_none_of_them(resources: Json) -> None:
    role = resources["WebhookRole"]["Properties"]
    assert resources["WebhookFunction"]["Properties"]["Role"] == {"Fn::GetAtt": ["WebhookRole", "Arn"]}
    assert "ManagedPolicyArns" not in role
    (policy,) = role["Policies"]
    log, table, queue, topic, *others = statements(policy)
    group = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${WebhookLogGroup}:*"
    assert log == {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": {"Fn::Sub": group},
    }
    assert (table["Action"], table["Resource"]) == ("dynamodb:UpdateItem", {"Fn::GetAtt": ["RevocationTable", "Arn"]})
    assert (queue["Action"], queue["Resource"]) == ("sqs:SendMessage", {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]})
    assert (topic["Action"], topic["Resource"]) == ("sns:Publish", {"Ref": "RevocationTopic"})
    conditions = [one["Fn::If"][0] for one in policy["PolicyDocument"]["Statement"] if "Fn::If" in one]
    assert (len(others), conditions) == (
        3,
        ["HasRevocationTopic", "HasTracing", "HasEnvironmentKmsKey", "HasVpc"],
    )


def test_what_is_revoked_outlives_the_stack_and_is_never_cut_short(resources: Json) -> None:
    table, queue = resources["RevocationTable"], resources["DeadLetterQueue"]
    assert {one[policy] for one in (table, queue) for policy in ("DeletionPolicy", "UpdateReplacePolicy")} == {"Retain"}
    properties = table["Properties"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["Properties"]["SqsManagedSseEnabled"] is True


def test_switched_off_there_is_nothing_of_revocation(resources: Json) -> None:
    """No resource, and whatever else speaks of one does so behind the condition."""
    assert template()["Parameters"]["EnableRevocation"]["Default"] == "false"
    conditional = {name for name, one in resources.items() if one.get("Condition") == "HasRevocation"}
    assert {"RevocationTable", "DeadLetterQueue", "WebhookFunction", "WebhookRole", "WebhookLogGroup"} < conditional
    outputs = {name: one for name, one in template()["Outputs"].items() if one.get("Condition") != "HasRevocation"}
    others = {name: one for name, one in resources.items() if name not in conditional} | outputs
    assert not {name for name, one in others.items() if conditional & mentioned(one)}


def mentioned(value: object) -> set[str]:
    """Every text in it, but for what only EnableRevocation lets through."""
    match value:
        case {"Fn::If": ["HasRevocation", _, otherwise]}:
            return mentioned(otherwise)
        case dict():
            return set().union(*map(mentioned, value.values()))
        case list():
            return set().union(*map(mentioned, value))
    return {str(value)}


def test_the_authorizers_time_is_enough_for_all_that_it_asks() -> None:
    fetch_seconds = template()["Parameters"]["HankoFetchTimeoutSeconds"]["Default"]
    table_seconds = check.READ_UNTIL_SECONDS + table.CONNECT_SECONDS + table.READ_SECONDS
    assert 2 * fetch_seconds + table_seconds < template()["Resources"]["AuthorizerFunction"]["Properties"]["Timeout"]


def test_the_receivers_time_is_hankos_patience() -> None:
    """A fetch of the keys, the last write that may begin, and the last attempt to queue."""
    call_seconds = table.CONNECT_SECONDS + table.READ_SECONDS
    receiver = template()["Resources"]["WebhookFunction"]["Properties"]
    keys_or_table_seconds = max(startup.LONGEST_SECONDS, writer.WRITE_UNTIL_SECONDS)
    written_seconds = keys_or_table_seconds + 3 * call_seconds  # both numbers, then each
    assert max(written_seconds, writer.QUEUE_UNTIL_SECONDS) + call_seconds <= 9  # and 1 s for a cold start
    assert receiver["Timeout"] == 10


def test_what_the_receiver_does_not_share_with_the_authorizer_is_fixed_and_allowed() -> None:
    variables = template()["Resources"]["WebhookFunction"]["Properties"]["Environment"]["Variables"]
    fixed = {name: value for name, value in variables.items() if isinstance(value, str)}
    assert fixed == {"HANKO_KEYS_COOLDOWN_SECONDS": "2"}
    required = {"HANKO_API_URL": "https://hanko.example.com", "HANKO_AUDIENCE": "example.com"}
    assert Settings.from_env({**required, **fixed}).keys_cooldown_seconds == 2


def test_only_x_ray_and_network_interfaces_are_allowed_on_everything_and_only_when_switched_on(resources: Json) -> None:
    network = [
        *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
        *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
    ]
    policies = [resources["SettingsPolicy"]["Properties"], resources["SandboxPolicy"]["Properties"]]
    policies += resources["WebhookRole"]["Properties"]["Policies"]
    conditional = [
        (one["Fn::If"][0], one["Fn::If"][1]["Action"])
        for policy in policies
        for one in policy["PolicyDocument"]["Statement"]
        if "Fn::If" in one and one["Fn::If"][1]["Resource"] == "*"
    ]
    x_ray = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    assert conditional == [("HasTracing", x_ray), ("HasVpc", network)] * 2
    everything = [one["Action"] for policy in policies for one in statements(policy) if one["Resource"] == "*"]
    assert everything == [x_ray, network] * 2
    assert not [one for policy in policies for one in statements(policy) if "*" in json.dumps(one["Action"])]


def test_the_invoke_role_may_invoke_the_alias_and_no_more(resources: Json) -> None:
    properties = resources["InvokeRole"]["Properties"]
    assert statements(properties["Policies"][0]) == [
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": {"Ref": "AuthorizerFunctionAliaslive"}}
    ]
    trusted = properties["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
    assert trusted == {"Service": "apigateway.amazonaws.com"}


@pytest.mark.parametrize("policy", ["SettingsPolicy", "SandboxPolicy"])
def test_the_longest_settings_still_fit_into_the_descriptions(policy: str) -> None:
    built = template()
    longest = -1
    for part in built["Resources"][policy]["Properties"]["Description"]["Fn::Join"][1]:
        parameter = built["Parameters"][part["Ref"]] if isinstance(part, dict) else {"MaxLength": len(part)}
        values = [str(value) for value in parameter.get("AllowedValues", [parameter.get("MaxValue", "31536000")])]
        longest += int(parameter.get("MaxLength", max(map(len, values)))) + len("|")
    assert longest <= POLICY_DESCRIPTION_LIMIT
    assert 2 * POLICY_NAME_LIMIT <= VERSION_DESCRIPTION_LIMIT


def test_the_log_group_is_the_functions_own_and_does_not_grow_for_ever(resources: Json) -> None:
    logging = resources["AuthorizerFunction"]["Properties"]["LoggingConfig"]
    assert logging == {"LogGroup": {"Ref": "AuthorizerLogGroup"}, "LogFormat": "Text"}
    assert resources["AuthorizerLogGroup"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def watched_metrics(alarm: Json, function: str = "AuthorizerFunction") -> list[tuple[str, str]]:
    """Namespace and name of what an alarm watches, directly or in its expression."""
    metrics = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one] or [alarm]
    for metric in metrics:
        names = [dimension["Name"] for dimension in metric["Dimensions"]]
        assert names == ["FunctionName" if metric["Namespace"] == "AWS/Lambda" else "service"]
        assert metric["Dimensions"][0]["Value"] == {"Ref": function}
    return [(metric["Namespace"], metric["MetricName"]) for metric in metrics]


def alarms(resources: Json, condition: str | None = None) -> dict[str, Json]:
    return {
        name: one["Properties"]
        for name, one in resources.items()
        if one["Type"] == "AWS::CloudWatch::Alarm" and one.get("Condition") == condition
    }


def test_alarms_watch_our_own_metrics_and_throttles_but_never_lambdas_errors(resources: Json) -> None:
    assert {name: watched_metrics(alarm) for name, alarm in alarms(resources).items()} == {
        "UnavailableAlarm": [("HankoAuthorizer", "Unavailable")],
        "MisconfiguredAlarm": [("HankoAuthorizer", "Misconfigured")],
        "KeyFetchFailuresAlarm": [("HankoAuthorizer", "KeyFetchFailures")],
        "AudienceNeverMatchedAlarm": [("HankoAuthorizer", "AudienceNeverMatched")],
        "StaleRulesAlarm": [("HankoAuthorizer", "StaleRules")],
        "SessionUncheckedAlarm": [("HankoAuthorizer", "SessionUnchecked")],
        "ThrottlesAlarm": [("AWS/Lambda", "Throttles")],
    }
    assert alarms(resources, "HasAlarmTopic").keys() == {"UnansweredAlarm"}


def test_every_alarm_names_its_heading_in_the_runbook(resources: Json) -> None:
    headings = set(re.findall(r"^### (\w+Alarm)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE))
    alarms_of_all = {name: one for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert headings == set(alarms_of_all)
    for name, alarm in alarms_of_all.items():
        assert alarm["Properties"]["AlarmDescription"].endswith(f". Runbook docs/operations.md#{name.lower()}")


def test_a_webhook_that_is_lost_or_waits_raises_an_alarm(resources: Json) -> None:
    """The receiver raises nothing, so that here an error of Lambda's is one."""
    receivers = alarms(resources, "HasRevocation")
    queue = receivers.pop("DeadLettersAlarm")
    assert (queue["Namespace"], queue["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert queue["Dimensions"][0]["Value"] == {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}
    assert {name: watched_metrics(alarm, "WebhookFunction") for name, alarm in receivers.items()} == {
        "WebhooksUnavailableAlarm": [("HankoAuthorizer", "Unavailable")],
        "WebhooksMisconfiguredAlarm": [("HankoAuthorizer", "Misconfigured")],
        "WebhooksUncheckedAlarm": [("HankoAuthorizer", "KeyUnchecked")],
        "WebhooksLostAlarm": [("AWS/Lambda", "Errors")],
        "WebhooksThrottledAlarm": [("AWS/Lambda", "Throttles")],
    }


def test_an_invocation_that_leaves_no_record_raises_an_alarm(resources: Json) -> None:
    """Whatever telemetry counts a request as is subtracted from what was invoked."""
    invoked, *counted = watched_metrics(resources["UnansweredAlarm"]["Properties"])
    counters = {reason.counter for reason in Reason} - {"Received"}  # the receiver's
    assert invoked == ("AWS/Lambda", "Invocations")
    assert set(counted) == {("HankoAuthorizer", counter) for counter in counters}
    (expression,) = [
        one["Expression"] for one in resources["UnansweredAlarm"]["Properties"]["Metrics"] if "Expression" in one
    ]
    condition, every, sampled = expression["Fn::If"]
    assert (condition, sampled) == ("LogsEveryRequest", f"0.9 * {every}"), "a twentieth may never be counted"
    assert sampled.startswith("0.9 * FILL(invoked, 0) - (")


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (
            "HankoApiUrl",
            [
                "https://hanko.example.com",
                "https://example.com/0f6c9a0e-3c57-4b0e-8a55-6d2f1f0a7c11",
                "http://127.0.0.1:8000",
                "http://localhost",
                "http://host.docker.internal:8000/path",
            ],
            [
                "http://hanko.example.com",
                "http://localhost.example.com",
                "https://user@example.com",
                "https://example.com?x=1",
                "https://example.com#x",
                "ftp://example.com",
            ],
        ),
        (
            "HankoAudience",
            ["example.com", "example.com,localhost", "example.com, localhost"],
            ["", " ", ",", "example.com,", ",example.com", "example.com,,localhost"],
        ),
        ("HankoMaxTokenLifetimeSeconds", ["", "60", "99", "3600", "31536000"], ["0", "59", "31536001", "40000000"]),
        ("HankoLogHashKey", ["", "sixteen-letters!"], ["short", "with spaces in it"]),
        ("ReceiverConcurrency", ["", "1", "1000"], ["0", "-1", "many"]),
        ("ReservedConcurrency", ["", "1", "1000"], ["0", "-1", "many"]),
        ("ProvisionedConcurrency", ["", "1", "1000"], ["0", "-1", "many"]),
    ],
)
def test_patterns_tell_good_values_from_bad_ones(parameter: str, good: list[str], bad: list[str]) -> None:
    pattern = re.compile(template()["Parameters"][parameter]["AllowedPattern"])
    assert [value for value in good if not pattern.fullmatch(value)] == []
    assert [value for value in bad if pattern.fullmatch(value)] == []


# --- the examples


def of_type(example: Json, kind: str) -> list[Json]:
    return [one["Properties"] for one in example["Resources"].values() if one["Type"] == kind]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_lets_its_own_api_invoke_the_authorizer_and_nobody_else(path: Path) -> None:
    example = template(path)
    permissions = [
        one for one in of_type(example, "AWS::Lambda::Permission") if one["FunctionName"] == {"Ref": "AuthorizerArn"}
    ]
    if path.stem == "http-api":  # by the invoke role instead
        assert permissions == []
        authorizers = of_type(example, "AWS::ApiGatewayV2::Authorizer")
        assert all(one["AuthorizerCredentialsArn"] == {"Ref": "InvokeRoleArn"} for one in authorizers)
        return
    assert len(permissions) == 1
    assert permissions[0]["SourceAccount"] == {"Ref": "AWS::AccountId"}
    source = json.dumps(permissions[0]["SourceArn"])
    assert "${Api}/authorizers/*" in source or source in (
        '{"Fn::GetAtt": ["Api", "Arn"]}',
        '{"Fn::GetAtt": ["Api", "ApiArn"]}',  # of an Event API
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_no_open_door(path: Path) -> None:
    example = template(path)
    methods = of_type(example, "AWS::ApiGateway::Method")
    routes = of_type(example, "AWS::ApiGatewayV2::Route")
    open_methods = [one for one in methods if one["AuthorizationType"] != "CUSTOM"]
    open_routes = {one["RouteKey"] for one in routes if one["AuthorizationType"] != "CUSTOM"}
    root = {"Fn::GetAtt": ["Api", "RootResourceId"]}
    for one in open_methods:  # preflights carry no credentials
        assert one["HttpMethod"] == "OPTIONS" or (one["HttpMethod"], one["ResourceId"]) == ("GET", root)
    # Of a WebSocket only $connect can have one.
    assert open_routes <= ({"$default", "$disconnect"} if path.stem == "websocket" else {"GET /"})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_caches_only_what_its_identity_source_decides(path: Path) -> None:
    example = template(path)
    authorizers = of_type(example, "AWS::ApiGateway::Authorizer") + of_type(example, "AWS::ApiGatewayV2::Authorizer")
    for authorizer in authorizers:
        ttl, source = authorizer.get("AuthorizerResultTtlInSeconds", 0), authorizer.get("IdentitySource")
        header = ["$request.header.Authorization"]
        assert ttl == 0 or source in (
            "method.request.header.Authorization",
            # One simple response stands for every route that has the same identity: so the route is in it.
            {"Fn::If": ["IsSimple", [*header, "$context.routeKey"], header]},
        )


@pytest.mark.parametrize("path", INLINE, ids=lambda path: path.stem)
@pytest.mark.parametrize("authorizer", [None, {}, {"lambda": None}, {"principalId": "someone"}])
def test_the_inline_backend_of_an_example_refuses_to_serve_without_a_caller(
    path: Path, authorizer: Json | None
) -> None:
    backend: Json = {}
    exec(template(path)["Resources"]["Backend"]["Properties"]["Code"]["ZipFile"], backend)  # noqa: S102 - our own example
    event = {"requestContext": {"authorizer": authorizer, "eventType": "CONNECT"}, "identity": authorizer}
    if authorizer is None:
        event = {"requestContext": {"eventType": "CONNECT"}}
    if path.stem == "appsync":
        with pytest.raises(PermissionError):
            backend["handler"](event, None)
    else:
        assert backend["handler"](event, None)["statusCode"] == 500


@pytest.mark.parametrize("name", ["rest-request", "http-api"])
def test_a_cookie_leads_to_nothing_that_changes_anything(name: str) -> None:
    """Browsers send it with the POST of a foreign page, too."""
    example = template(ROOT / "examples" / f"{name}.yaml")
    methods = [(one["HttpMethod"], one) for one in of_type(example, "AWS::ApiGateway::Method")]
    routes = [(one["RouteKey"].split(" ")[0], one) for one in of_type(example, "AWS::ApiGatewayV2::Route")]
    either = [method for method, one in methods + routes if one.get("AuthorizerId") == {"Ref": "EitherAuthorizer"}]
    assert either == ["GET"]


def access_log_formats(example: Json) -> list[Json]:
    """Each stage's, switched on where that is an option; a format is JSON text."""
    stages = of_type(example, "AWS::ApiGateway::Stage") + of_type(example, "AWS::ApiGatewayV2::Stage")
    settings = [stage.get("AccessLogSetting") or stage["AccessLogSettings"] for stage in stages]
    optional = [one["Fn::If"][1] if "Fn::If" in one else one for one in settings]
    return [json.loads(one["Format"]) for one in optional]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_access_log_says_who_and_why_and_nothing_that_the_caller_wrote(path: Path) -> None:
    formats = access_log_formats(template(path))
    assert len(formats) == (0 if path.stem.startswith("appsync") else 1)
    for logged in formats:
        assert logged["user"] == "$context.authorizer.user_id"
        assert logged["reason"] == "$context.authorizer.reason"
        assert logged["rule"] == "$context.authorizer.rule"
        ours = {f"$context.authorizer.{name}" for name in ("user_id", "rule", "reason", "error")}
        gateways = {f"$context.{name}" for name in ("requestId", "httpMethod", "resourcePath", "routeKey", "status")}
        assert set(logged.values()) <= ours | gateways


def test_the_token_authorizer_lets_only_what_looks_like_a_token_through() -> None:
    authorizer = of_type(template(ROOT / "examples" / "rest-token.yaml"), "AWS::ApiGateway::Authorizer")[0]
    pattern = re.compile(authorizer["IdentityValidationExpression"])
    for good in ("Bearer a.b.c", "bearer  a-1.b_2.c", "BEARER eyJ.eyJ.sig"):
        assert pattern.fullmatch(good), good
    for bad in ("", "a.b.c", "Bearer", "Bearer a.b", "Bearer a.b.c.d", "Bearer a.b.c, Bearer d.e.f", "Basic a.b.c"):
        assert not pattern.fullmatch(bad), bad


@pytest.mark.parametrize("name", ["rest-token", "rest-request"])
def test_the_gateways_own_answers_can_be_read_by_a_browser(name: str) -> None:
    answers = of_type(template(ROOT / "examples" / f"{name}.yaml"), "AWS::ApiGateway::GatewayResponse")
    assert {one["ResponseType"] for one in answers} == {"UNAUTHORIZED", "ACCESS_DENIED", "DEFAULT_4XX", "DEFAULT_5XX"}
    for answer in answers:
        headers = answer["ResponseParameters"]
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == {"Fn::Sub": "'${AllowedOrigin}'"}
        challenged = "gatewayresponse.header.WWW-Authenticate" in headers
        assert challenged == (answer["ResponseType"] == "UNAUTHORIZED")
        # Its own texts may quote the token; what the authorizer put into the context does not.
        unmet_rules = re.findall(r"\$[\w.]+", json.dumps(answer["ResponseTemplates"]))
        denied = ["$context.authorizer.rule", "$context.authorizer.reason"]
        assert unmet_rules == (denied if answer["ResponseType"] == "ACCESS_DENIED" else [])
