#!/usr/bin/env bash
# ministack 1.5.33 with boto3 1.43.106, seen 2026-11-28.
# MiniStack serves AppSync Event APIs (create_api, WebSockets, authorizers), but its CloudFormation does not know
# AWS::AppSync::Api and AWS::AppSync::ChannelNamespace, which AWS has had since November 2024.
# Expected: a stack with an Event API is created, and list_apis shows it.
# Why it matters here: examples/appsync-events.yaml cannot be deployed into the local AWS. local/event_api.py hands the
# template's properties to create_api instead.
set -euo pipefail

folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ministack==1.5.33 boto3==1.43.106

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
env -i PATH="$PATH" HOME="$folder" BIND_HOST=127.0.0.1 GATEWAY_PORT="$port" IOT_MTLS_ENABLED=0 LAMBDA_EXECUTOR=local \
    "$folder/venv/bin/ministack" >"$folder/log" 2>&1 &
server=$!

cat >"$folder/see.py" <<'PYTHON'
import sys, time
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

TEMPLATE = """
Resources:
  Api:
    Type: AWS::AppSync::Api
    Properties:
      Name: example
      EventConfig:
        AuthProviders: [{AuthType: API_KEY}]
        ConnectionAuthModes: [{AuthType: API_KEY}]
        DefaultPublishAuthModes: [{AuthType: API_KEY}]
        DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
  Chat:
    Type: AWS::AppSync::ChannelNamespace
    Properties: {ApiId: !GetAtt Api.ApiId, Name: chat}
"""
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1")
cloudformation, appsync = (session.client(name, endpoint_url=sys.argv[1]) for name in ("cloudformation", "appsync"))
for _ in range(100):
    try:
        appsync.list_apis()
        break
    except (BotoCoreError, ClientError):
        time.sleep(0.2)
try:
    cloudformation.create_stack(StackName="events", TemplateBody=TEMPLATE)
    status = "CREATE_IN_PROGRESS"
    while status.endswith("IN_PROGRESS"):
        time.sleep(0.2)
        status = cloudformation.describe_stacks(StackName="events")["Stacks"][0]["StackStatus"]
except ClientError as error:
    status = error.response["Error"]["Message"]
made = [api["name"] for api in appsync.list_apis()["apis"]]
print(f"the stack: {status[:200]}\nEvent APIs after it: {made}, expected ['example']")
appsync.create_api(name="by-hand", eventConfig={
    "authProviders": [{"authType": "API_KEY"}], "connectionAuthModes": [{"authType": "API_KEY"}],
    "defaultPublishAuthModes": [{"authType": "API_KEY"}], "defaultSubscribeAuthModes": [{"authType": "API_KEY"}],
})
print("after create_api:", [api["name"] for api in appsync.list_apis()["apis"]])
sys.exit("CHANGED: CloudFormation makes Event APIs now" if made else 0)
PYTHON
"$folder/venv/bin/python" "$folder/see.py" "http://127.0.0.1:$port" || exit 1
echo "as seen: no Event API by CloudFormation, one by create_api"
