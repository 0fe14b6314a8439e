"""`make local`: a stand-in Hanko and a local AWS with the authorizer and its examples, until Ctrl-C."""

import argparse
import contextlib
import signal
from collections.abc import Sequence

from local import stacks
from local.aws import LocalAws
from local.hanko import StandInHanko

AUDIENCE = "example.com"


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(prog="python -m local.serve", description=__doc__).parse_args(argv)
    for stop in (signal.SIGINT, signal.SIGTERM):  # both leave every `with`, and so leave nothing behind
        signal.signal(stop, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), StandInHanko(audience=AUDIENCE) as hanko, LocalAws() as aws:
        deployed = stacks.deploy(aws, hanko.url, AUDIENCE, say=lambda text: print(f"… {text}", flush=True))
        print(usage(hanko, aws, deployed), flush=True)
        signal.pause()


def usage(hanko: StandInHanko, aws: LocalAws, deployed: stacks.Stacks) -> str:
    """What is where, and what to type next."""
    graphql = '{"query": "{ me { userId email expiresAt } }"}'
    group = deployed.authorizer["LogGroupName"]
    return f"""
Hanko (stand-in)   {hanko.url}
REST, TOKEN        {deployed.rest_token}/me
REST, REQUEST      {deployed.rest_request}/me          header or cookie; cached with the header: /any/path
HTTP API           {deployed.http_api}/me          header or cookie: /web/me
WebSocket          {deployed.websocket}?{stacks.QUERY_PARAMETER}=…
AppSync            {deployed.appsync}
AWS endpoint       {aws.endpoint}          region eu-west-1, credentials test/test

TOKEN=$(make -s token HANKO_API_URL={hanko.url})
curl -i {deployed.rest_token}/me                                      # 401
curl -i -H "Authorization: Bearer $TOKEN" {deployed.rest_token}/me    # 200
curl -i -H "Cookie: hanko=$TOKEN" {deployed.rest_request}/me          # 200
curl -i -H "Authorization: Bearer $TOKEN" '{deployed.http_api}/me'     # 200
curl -i -H "Authorization: $TOKEN" -d '{graphql}' {deployed.appsync}
.venv/bin/websockets '{deployed.websocket}?{stacks.QUERY_PARAMETER}='$TOKEN

Tell Hanko to misbehave: curl -d '{{"mode": "down"}}' {hanko.origin}/_admin/behave      (and back: "normal")
The authorizer's log group is {group}. Ctrl-C stops everything."""


if __name__ == "__main__":
    main()
