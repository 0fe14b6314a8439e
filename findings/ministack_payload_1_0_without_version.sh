#!/usr/bin/env bash
# ministack 1.5.33 with boto3 1.43.106, seen 2026-11-28.
# An HTTP API's Lambda authorizer with AuthorizerPayloadFormatVersion 1.0 is invoked without the members `version`,
# `identitySource` and `authorizationToken`, which AWS documents for payload 1.0. Its event cannot be told from a REST
# API's, where the answer to a bad token is another one.
# Expected: "version": "1.0" in the event, as AWS's "Control access to HTTP APIs with Lambda authorizers" shows it.
# Why it matters here: whoever tries payload 1.0 on a laptop sees a 500 for a bad token, where AWS answers 403.
set -euo pipefail

folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ministack==1.5.33 boto3==1.43.106

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
env -i PATH="$PATH" HOME="$folder" BIND_HOST=127.0.0.1 GATEWAY_PORT="$port" IOT_MTLS_ENABLED=0 LAMBDA_EXECUTOR=local \
    AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test "$folder/venv/bin/ministack" >"$folder/log" 2>&1 &
server=$!

cat >"$folder/see.py" <<'PYTHON'
import io, json, sys, time, urllib.request, zipfile
import boto3
from botocore.exceptions import BotoCoreError, ClientError

CODE = """
import json
def handler(event, context):
    if "routeKey" in event.get("requestContext", {}) and "authorizer" in event["requestContext"]:
        return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"])}
    allow = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": "*"}
    seen = " ".join(sorted(event))
    return {"principalId": "x", "policyDocument": {"Version": "2012-10-17", "Statement": [allow]}, "context": {"seen": seen}}
"""
endpoint = sys.argv[1]
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1")
functions, apis = (session.client(name, endpoint_url=endpoint) for name in ("lambda", "apigatewayv2"))
for _ in range(100):
    try:
        functions.list_functions()
        break
    except (BotoCoreError, ClientError):
        time.sleep(0.2)
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as file:
    file.writestr("index.py", CODE)
arn = functions.create_function(
    FunctionName="see", Runtime="python3.13", Handler="index.handler", Role="arn:aws:iam::000000000000:role/x",
    Code={"ZipFile": archive.getvalue()},
)["FunctionArn"]
uri = f"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{arn}/invocations"
api = apis.create_api(Name="example", ProtocolType="HTTP")["ApiId"]
authorizer = apis.create_authorizer(
    ApiId=api, Name="see", AuthorizerType="REQUEST", AuthorizerUri=uri, AuthorizerPayloadFormatVersion="1.0",
    IdentitySource=["$request.header.Authorization"], AuthorizerResultTtlInSeconds=0,
)["AuthorizerId"]
integration = apis.create_integration(
    ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
)["IntegrationId"]
apis.create_route(
    ApiId=api, RouteKey="GET /me", AuthorizationType="CUSTOM", AuthorizerId=authorizer,
    Target=f"integrations/{integration}",
)
apis.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
request = urllib.request.Request(f"{endpoint}/_aws/execute-api/{api}/$default/me", headers={"Authorization": "Bearer x"})
context = json.load(urllib.request.urlopen(request, timeout=30))
members = (context.get("lambda") or context)["seen"].split()
missing = sorted({"version", "identitySource", "authorizationToken"} - set(members))
print("members of the authorizer's event:", ", ".join(members))
print("missing:", ", ".join(missing) or "none")
sys.exit(0 if "version" in missing else "CHANGED: payload 1.0 has its version now")
PYTHON
"$folder/venv/bin/python" "$folder/see.py" "http://127.0.0.1:$port" || exit 1
echo "as seen: payload 1.0 comes without its version"
