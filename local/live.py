"""`make live HANKO_API_URL=… HANKO_AUDIENCE=…`: page and APIs of `make local`, with a Hanko that runs already.

Until Ctrl-C. Hanko's `cors.allow_origins` and `webauthn.relying_party` must name the page, whose port stays the same:
docs/real-hanko.md. The stand-in that stands beside it is asked nothing.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from local.aws import EXAMPLE_RULES, find_rules
from local.command_line import CommandFailed, run
from local.deployment import Deployment
from local.hanko.loopback import port_number
from local.serve import front_at, progress, wait, web_page
from local.web.front import Front
from local.web.page import build_page
from local.web.places import Site, config_of, places_of

PAGE_PORT = 8443


class Live(NamedTuple):
    """What is up: the page's host names, and the port that serves them."""

    site: Site
    front: Front


@contextmanager
def live(api_url: str, audience: str, page_port: int, rules: str = EXAMPLE_RULES) -> Iterator[Live]:
    """Page and APIs, for that Hanko."""
    find_rules(rules)
    with front_at(page_port, "make live") as front:
        site = Site(front.port)
        progress("The web page: npm ci, vite build")
        page = build_page()
        deployed = Deployment(progress, rules=rules, origin=site.page, HankoApiUrl=api_url, HankoAudience=audience)
        with deployed as deployment:
            places = dict(places_of(site, deployment, page, config_of(site, api_url, "elements")))
            del places[site.hanko]  # the stand-in's
            front.serve(places)
            yield Live(site, front)


def main(argv: Sequence[str] | None = None) -> None:
    """Start, print where the page is, wait."""
    parser = argparse.ArgumentParser(prog="python -m local.live", description=__doc__)
    parser.add_argument("--api-url", required=True)
    parser.add_argument("--audience", required=True)
    parser.add_argument("--rules", default=EXAMPLE_RULES, help=f"default: {EXAMPLE_RULES}")
    parser.add_argument(
        "--page-port", type=port_number, default=PAGE_PORT, help=f"of the web page; default: {PAGE_PORT}"
    )
    options = parser.parse_args(argv)
    if not options.api_url or not options.audience:
        raise CommandFailed("say where Hanko is: make live HANKO_API_URL=… HANKO_AUDIENCE=…")
    with live(options.api_url.rstrip("/"), options.audience, options.page_port, options.rules) as up:
        wait(f"\nHanko            {options.api_url}{web_page(up.site, up.front)}")


if __name__ == "__main__":
    run(main)
