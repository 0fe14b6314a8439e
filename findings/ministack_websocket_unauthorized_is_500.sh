#!/usr/bin/env bash
# ministack 1.5.33 with boto3 1.43.106, seen 2026-11-29.
# A WebSocket API's Lambda authorizer that raises "Unauthorized" refuses the handshake: MiniStack answers 500, where its
# REST APIs answer 401 to the same function.
# Expected: 401. AWS's sample of a WebSocket authorizer does so: callback("Unauthorized"), "Return a 401 Unauthorized
# response" (Developer Guide, "Control access to WebSocket APIs with AWS Lambda REQUEST authorizers").
# Why it matters here: raising is how the authorizer says 401. On a laptop a WebSocket's client cannot tell a login that
# is over from a deployment that is broken.
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
import base64, http.client, io, sys, time, zipfile
import boto3
from botocore.exceptions import BotoCoreError, ClientError

CODE = """
def handler(event, context):
    raise Exception("Unauthorized")
"""
endpoint = sys.argv[1]
session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1")
functions, rest, sockets = (session.client(name, endpoint_url=endpoint) for name in ("lambda", "apigateway", "apigatewayv2"))
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
    FunctionName="raises", Runtime="python3.13", Handler="index.handler", Role="arn:aws:iam::000000000000:role/x",
    Code={"ZipFile": archive.getvalue()},
)["FunctionArn"]
uri = f"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{arn}/invocations"


def rest_api():
    api = rest.create_rest_api(name="rest")["id"]
    root = rest.get_resources(restApiId=api)["items"][0]["id"]
    authorizer = rest.create_authorizer(
        restApiId=api, name="raises", type="TOKEN", authorizerUri=uri,
        identitySource="method.request.header.Authorization", authorizerResultTtlInSeconds=0,
    )["id"]
    at = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
    rest.put_method(**at, authorizationType="CUSTOM", authorizerId=authorizer)
    rest.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    rest.create_deployment(restApiId=api, stageName="v1")
    return api


def websocket_api():
    api = sockets.create_api(Name="socket", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")["ApiId"]
    authorizer = sockets.create_authorizer(
        ApiId=api, Name="raises", AuthorizerType="REQUEST", AuthorizerUri=uri,
        IdentitySource=["route.request.header.Authorization"],
    )["AuthorizerId"]
    integration = sockets.create_integration(ApiId=api, IntegrationType="MOCK")["IntegrationId"]
    sockets.create_route(
        ApiId=api, RouteKey="$connect", AuthorizationType="CUSTOM", AuthorizerId=authorizer,
        Target=f"integrations/{integration}",
    )
    sockets.create_stage(ApiId=api, StageName="v1", AutoDeploy=True)
    return api


def status(path, **headers):
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
    connection.request("GET", path, headers={"Authorization": "Bearer x", **headers})
    return connection.getresponse().status


upgrade = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}
of_rest = status(f"/_aws/execute-api/{rest_api()}/v1/")
of_socket = status(f"/_aws/execute-api/{websocket_api()}/v1", **upgrade)
print(f"REST API: {of_rest}, expected 401\nWebSocket API: {of_socket}, expected 401")
sys.exit("CHANGED" if (of_rest, of_socket) != (401, 500) else 0)
PYTHON
"$folder/venv/bin/python" "$folder/see.py" "http://127.0.0.1:$port" || exit 1
echo "as seen: 500 for the WebSocket's handshake, 401 for the request to the REST API"
