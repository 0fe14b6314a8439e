"""Which host and path leads where, and the page's config.json: one for `make local`, for tests and for a real Hanko."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.deployment import ALIAS, SUBPROTOCOL, Deployment
from local.sign import event_with
from local.web.edge import cors_on_refusals, named_reasons, subprotocol
from local.web.front import Forward, Place
from local.web.page import website

HTTPS = 443
MAPPINGS = {"rest-token": "REST, TOKEN", "rest-request": "REST, REQUEST", "http-api": "HTTP API 2.0"}


@dataclass(frozen=True)
class Site:
    """Host names: a page and APIs of one site, an API of another, and Hanko, which is a third as on Hanko Cloud."""

    port: int = HTTPS
    domain: str = "example.localhost"
    elsewhere: str = "elsewhere.localhost"
    hanko: str = "hanko.localhost"

    @property
    def names(self) -> list[str]:
        return [*(f"{name}.{self.domain}" for name in ("app", "api", "ws")), f"api.{self.elsewhere}", self.hanko]

    def url(self, name: str, scheme: str = "https") -> str:
        return f"{scheme}://{name}" + ("" if self.port == HTTPS else f":{self.port}")

    @property
    def page(self) -> str:
        """The origin that may call the APIs."""
        return self.url(f"app.{self.domain}")


def config_of(site: Site, hanko_api_url: str, sign_in: str) -> dict[str, Any]:
    """config.json. `sign_in` is "elements", or the address of the stand-in's list of people."""
    api, elsewhere = site.url(f"api.{site.domain}"), site.url(f"api.{site.elsewhere}")
    apis = [{"name": name, "url": f"{api}/{path}"} for path, name in MAPPINGS.items()]
    apis += [
        {"name": "REST, REQUEST, on another site", "url": f"{elsewhere}/rest-request"},
        {"name": "REST, REQUEST, below the page", "url": f"{site.page}/api"},
    ]
    return {
        "hankoApiUrl": hanko_api_url,
        "signIn": sign_in,
        "tokenIn": "cookie",
        "cookieName": "hanko",
        "cookieDomain": site.domain,
        "apis": apis,
        "webSocket": {"url": site.url(f"ws.{site.domain}", "wss"), "subprotocol": SUBPROTOCOL},
    }


def stand_in_config(site: Site) -> dict[str, Any]:
    """config.json with the stand-in Hanko."""
    hanko = site.url(site.hanko)
    return config_of(site, hanko, f"{hanko}/sign-in")


def places_of(
    site: Site, deployment: Deployment, page: Path, config: dict[str, Any]
) -> Mapping[str, Mapping[str, Place]]:
    """Every host of the site. `page` is the folder of the built page."""

    def answer_to(authorization: str) -> Any:  # noqa: ANN401 - whatever the authorizer answers
        token = authorization.partition(" ")[2]
        return deployment.aws.invoke(deployment.outputs[ALIAS], event_with("rest_token", token))

    rest, http = named_reasons(answer_to), cors_on_refusals(site.page)
    apis: dict[str, Place] = {
        f"/{path}": Forward(deployment.apis[name].url, http if name.startswith("HTTP") else rest)
        for path, name in MAPPINGS.items()
    }
    hanko, socket = deployment.hanko, deployment.apis["WebSocket"].url.replace("ws", "http", 1)
    return {
        f"app.{site.domain}": {"/api": apis["/rest-request"], "": website(page, config)},
        f"api.{site.domain}": apis,
        f"api.{site.elsewhere}": apis,
        f"ws.{site.domain}": {"": Forward(socket, subprotocol)},
        site.hanko: {"": Forward(hanko.url, ca_file=hanko.ca_file)},
    }
