#!/usr/bin/env bash
# aws-sam-cli 1.170.0, seen 2026-11-28.
# `sam local start-api` looks at the first resource that is an API or a function. If it is an AWS::Serverless::Function,
# it sees serverless APIs only: the routes of an AWS::ApiGatewayV2::Api further down do not exist, and it ends with
# "Template does not have any APIs connected to Lambda functions". If the API comes first, the same template is served.
# Expected: CloudFormation gives the order of resources no meaning, so neither does SAM CLI.
# Why it matters here: whoever puts the authorizer's function above a plain API, for the laptop, gets no API at all.
# local/sam.py puts the function last.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aws-sam-cli==1.170.0
mkdir "$folder/code"
echo 'def handler(event, context): return {"statusCode": 200}' >"$folder/code/app.py"

cat >"$folder/see.py" <<'PYTHON'
import json, sys
from pathlib import Path
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

FUNCTION = {"Function": {"Type": "AWS::Serverless::Function", "Properties": {
    "CodeUri": "code", "Handler": "app.handler", "Runtime": "python3.13"}}}
API = {
    "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "api", "ProtocolType": "HTTP"}},
    "Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
        "ApiId": {"Ref": "Api"}, "RouteKey": "GET /me", "Target": {"Fn::Sub": "integrations/${Integration}"}}},
    "Integration": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {
        "ApiId": {"Ref": "Api"}, "IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0",
        "IntegrationUri": {"Fn::GetAtt": ["Function", "Arn"]}}},
}


def routes(resources):
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Transform": "AWS::Serverless-2016-10-31", "Resources": resources}
    file = Path(sys.argv[1], "template.json")
    file.write_text(json.dumps(template))
    stacks, _ = SamLocalStackProvider.get_stacks(template_file=str(file))
    return sorted(route.path for route in ApiProvider(stacks, cwd=sys.argv[1]).api.routes)


first, last = routes({**FUNCTION, **API}), routes({**API, **FUNCTION})
print("expected:", ["/me"], "whatever the order")
print("seen, function first:", first)
print("seen, API first:     ", last)
sys.exit((first, last) != ([], ["/me"]))
PYTHON
AWS_DEFAULT_REGION=eu-west-1 SAM_CLI_TELEMETRY=0 "$folder/venv/bin/python" "$folder/see.py" "$folder" 2>/dev/null || exit 1
