#!/usr/bin/env bash
# ministack 1.5.33 with boto3 1.43.106, seen 2026-11-29.
# A Python function that raises loses its process: the next call starts another one, with the module's state anew.
# Expected: the same process, as in AWS, whose runtime client reports the exception and asks for the next event.
# Why it matters here: every 401 of a REST or WebSocket API is a raised exception. Locally each is followed by a cold
# start, a fetch of the keys and a ProcessStarts in the metrics (24 of 35 requests in our demo); in AWS by none of these.
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
import io, json, sys, time, zipfile
import boto3
from botocore.exceptions import BotoCoreError, ClientError

CODE = """
calls = 0
def handler(event, context):
    global calls
    calls += 1
    if event.get("raises"):
        raise Exception("Unauthorized")
    return calls
"""
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1")
functions = session.client("lambda", endpoint_url=sys.argv[1])
for _ in range(100):
    try:
        functions.list_functions()
        break
    except (BotoCoreError, ClientError):
        time.sleep(0.2)
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    archive.writestr("app.py", CODE)
role = "arn:aws:iam::000000000000:role/r"
functions.create_function(FunctionName="f", Runtime="python3.13", Handler="app.handler", Role=role,
                          Code={"ZipFile": packed.getvalue()})


def call(**event):
    return json.load(functions.invoke(FunctionName="f", Payload=json.dumps(event))["Payload"])


seen = [call(), call(), call(raises=True).get("errorMessage"), call()]
print("calls that the process has counted:", seen)
print("AWS:                               [1, 2, 'Unauthorized', 4]")
sys.exit(seen != [1, 2, "Unauthorized", 1])
PYTHON
"$folder/venv/bin/python" "$folder/see.py" "http://127.0.0.1:$port" || exit 1
