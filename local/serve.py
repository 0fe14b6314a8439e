"""`make local [EMPTY=1]`: a stand-in Hanko (https) and a local AWS, with the authorizer, its examples and a web page.

Until Ctrl-C. With EMPTY=1 nothing is deployed yet: for a stack of your own, from `make init` on.
"""

import argparse
import signal
from collections.abc import Sequence

from local.aws import EXAMPLE_RULES, LocalAws, find_rules
from local.command_line import CommandFailed, run
from local.deployment import QUERY_PARAMETER, Deployment
from local.hanko import StandInHanko
from local.hanko.loopback import port_number
from local.web.front import Front
from local.web.page import build_page
from local.web.places import Site, places_of, stand_in_config


def main(argv: Sequence[str] | None = None) -> None:
    """Start, print what to type next, wait."""
    parser = argparse.ArgumentParser(prog="python -m local.serve", description=__doc__)
    parser.add_argument("--rules", default=EXAMPLE_RULES, help=f"default: {EXAMPLE_RULES}")
    parser.add_argument("--empty", action="store_true", help="deploy nothing")
    parser.add_argument("--page-port", type=port_number, default=0, help="of the web page; default: a free one")
    options = parser.parse_args(argv)
    find_rules(options.rules)
    if options.empty:
        with StandInHanko(tls=True) as hanko, LocalAws(trusts=hanko.ca_file) as aws:
            wait(own_stack(hanko, aws))
    with front_at(options.page_port) as front:
        site = Site(front.port)
        progress("The web page: npm ci, vite build")
        page = build_page()
        with Deployment(progress, tls=True, rules=options.rules, origin=site.page) as deployment:
            front.serve(places_of(site, deployment, page, stand_in_config(site)))
            wait(examples(deployment) + own_stack(deployment.hanko, deployment.aws) + web_page(site, front))


def front_at(port: int, command: str = "make local") -> Front:
    """The front for a browser, at a port that may be taken: `command` is what was typed."""
    try:
        return Front(Site().names, port)
    except OSError as error:
        raise CommandFailed(f"port {port}: {error.strerror}. Choose another: {command} PAGE_PORT=…") from None


def progress(text: str) -> None:
    print(f"… {text}", flush=True)


def wait(usage: str) -> None:
    """Until Ctrl-C or SIGTERM, which raise."""
    print(f"{usage}\n\nCtrl-C stops everything.", flush=True)
    while True:
        signal.pause()


def own_stack(hanko: StandInHanko, aws: LocalAws) -> str:
    """From `make init` to `make smoke` with an API of the user's."""
    return f"""
Hanko, stand-in  {hanko.url}   its tokens are for the audience {hanko.audience}
AWS              {aws.endpoint}   region eu-west-1, nothing leaves this machine

A stack of your own in this AWS. In another terminal, first:
export AWS_ENDPOINT_URL={aws.endpoint} AWS_DEFAULT_REGION=eu-west-1 BUILD_TARGET=host
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test SAM_CLI_POLL_DELAY=0.5
export HANKO_API_URL={hanko.url} SSL_CERT_FILE={hanko.ca_file}

Then, each says what comes next:
make init ENV=try API_URL=$HANKO_API_URL AUDIENCE={hanko.audience} YES=1
make deploy ENV=try
.venv/bin/sam deploy …                # your own stack, with the authorizer attached: docs/attach.md
URL=$AWS_ENDPOINT_URL/_aws/execute-api/API_ID/STAGE/PATH    # an HTTP API: API_ID/\\$default/PATH
make -s token | make smoke ENV=try URL="$URL" TOKEN=-

The local AWS gives a REST API a new id when its stack changes. AWS does not.
Tell Hanko to misbehave:
curl --cacert $SSL_CERT_FILE -d '{{"mode": "down", "seconds": 20}}' $HANKO_API_URL/_admin/behave"""


def web_page(site: Site, front: Front) -> str:
    """How a browser comes to trust this run's certificate."""
    return f"""

The web page     {site.page}/   examples/web, docs/frontend.md
A browser with a profile of its own, which trusts this run's key and is gone afterwards (or google-chrome, msedge):
chromium --user-data-dir=$(mktemp -d) --ignore-certificate-errors-spki-list={front.key_hash} {site.page}/
Firefox: import the authority {front.ca_file} (Settings, Certificates), and remove it afterwards."""


def examples(deployment: Deployment) -> str:
    """The addresses of the examples, and how to call them once the variables are set."""
    places = "\n".join(f"{name:<17}{api.url}" for name, api in deployment.apis.items())
    rest, request, _, http_api, websocket, appsync, _ = deployment.apis.values()
    graphql = '{"query": "{ me { userId email expiresAt } }"}'
    return f"""
The examples, and calls to them. The token needs the exports below:
{places}

TOKEN=$(make -s token)
curl -i '{rest.url}/me'                                            # 401
curl -i -H "Authorization: Bearer $TOKEN" '{rest.url}/me'          # 200
curl -i -H "Authorization: Bearer $TOKEN" '{rest.url}/admin/x'     # 403: see {deployment.rules}
curl -i -H "Cookie: hanko=$TOKEN" '{request.url}/web/me'
curl -i -H "Authorization: Bearer $TOKEN" '{http_api.url}/me'
curl -i -H "Cookie: hanko=$TOKEN" '{http_api.url}/web/me'
curl -i -H "Authorization: $TOKEN" -d '{graphql}' '{appsync.url}'
.venv/bin/websockets '{websocket.url}?{QUERY_PARAMETER}='$TOKEN

Log group of the authorizer: {deployment.outputs["LogGroupName"]}
"""


if __name__ == "__main__":
    run(main)
