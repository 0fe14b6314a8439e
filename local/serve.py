"""`make local`: a stand-in Hanko and a local AWS with the authorizer and its examples, until Ctrl-C."""

import argparse
import signal
from collections.abc import Sequence

from local.aws import EXAMPLE_RULES
from local.command_line import run
from local.deployment import QUERY_PARAMETER, Deployment


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m local.serve", description=__doc__)
    parser.add_argument("--rules", default=EXAMPLE_RULES, help=f"default: {EXAMPLE_RULES}")
    options = parser.parse_args(argv)
    with Deployment(lambda text: print(f"… {text}", flush=True), rules=options.rules) as deployment:
        print(usage(deployment), flush=True)
        signal.pause()


def usage(deployment: Deployment) -> str:
    """The addresses, and the commands to type next."""
    hanko, apis = deployment.hanko, deployment.apis
    places = "\n".join(f"{name:<17}{api.url}" for name, api in apis.items())
    rest, request, _, http_api, websocket, appsync, _ = apis.values()
    graphql = '{"query": "{ me { userId email expiresAt } }"}'
    return f"""
Hanko, stand-in  {hanko.url}
AWS endpoint     {deployment.aws.endpoint}   region eu-west-1, credentials test/test
{places}

A stack of your own in this AWS, from another terminal:
export AWS_ENDPOINT_URL={deployment.aws.endpoint} AWS_DEFAULT_REGION=eu-west-1 BUILD_TARGET=host
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
make init ENV=try API_URL={hanko.url} AUDIENCE=localhost YES=1
make deploy ENV=try

TOKEN=$(make -s token HANKO_API_URL={hanko.url})
curl -i '{rest.url}/me'                                            # 401
curl -i -H "Authorization: Bearer $TOKEN" '{rest.url}/me'          # 200
curl -i -H "Authorization: Bearer $TOKEN" '{rest.url}/admin/x'     # 403: see {deployment.rules}
curl -i -H "Cookie: hanko=$TOKEN" '{request.url}/web/me'
curl -i -H "Authorization: Bearer $TOKEN" '{http_api.url}/me'
curl -i -H "Cookie: hanko=$TOKEN" '{http_api.url}/web/me'
curl -i -H "Authorization: $TOKEN" -d '{graphql}' '{appsync.url}'
.venv/bin/websockets '{websocket.url}?{QUERY_PARAMETER}='$TOKEN

Tell Hanko to misbehave: curl -d '{{"mode": "down", "seconds": 20}}' {hanko.origin}/_admin/behave
Log group of the authorizer: {deployment.outputs["LogGroupName"]}
Ctrl-C stops everything."""


if __name__ == "__main__":
    run(main)
