"""Flask behind a REST API. The caller is who the authorizer says; without its word nothing but `/` is served."""

import os
from dataclasses import dataclass
from typing import Any

from apig_wsgi import make_lambda_handler
from flask import Flask, Response, abort, g, request

app = Flask(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling. `claims` is all that the authorizer passed on; a REST API turns every value into a string."""

    user_id: str
    claims: dict[str, str]


@app.before_request
def identify() -> None:
    """`g.caller` for every route but the open one. Never from a header: anyone can send those."""
    if request.endpoint == "index":
        return
    match request.environ.get("apig_wsgi.request_context"):
        case {"authorizer": {"user_id": str(user_id)} as claims} if user_id:
            g.caller = Identity(user_id, claims)
        case _:
            abort(500)  # no authorizer in front of this route: never serve


@app.get("/")
def index() -> dict[str, Any]:
    return {"open": True}


@app.get("/me")
def me() -> dict[str, Any]:
    claims: dict[str, Any] = g.caller.claims
    return claims


@app.get("/admin/<path:page>")
def admin(page: str) -> dict[str, Any]:
    """Who is an administrator is decided by rules.toml, before anything gets here."""
    return {**g.caller.claims, "admin_page": page}


@app.post("/payments")
def pay() -> dict[str, Any]:
    return {**g.caller.claims, "paid": True}


@app.after_request
def let_browsers_read_it(response: Response) -> Response:
    """CORS. The preflight is API Gateway's."""
    response.headers["Access-Control-Allow-Origin"] = os.environ["ALLOWED_ORIGIN"]
    return response


handler = make_lambda_handler(app)
