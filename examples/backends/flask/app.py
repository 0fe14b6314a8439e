"""Flask behind a REST API. The caller comes from the authorizer's context; without it only `/` is served."""

import os
from typing import Any

from apig_wsgi import make_lambda_handler
from flask import Flask, Response, g

from authorizer.middleware.flask import protect

app = Flask(__name__)
protect(app, open_paths=["/"])


@app.get("/")
def index() -> dict[str, Any]:
    return {"open": True}


@app.get("/me")
def me() -> dict[str, Any]:
    return dict(g.hanko.claims)


@app.get("/admin/<path:page>")
def admin(page: str) -> dict[str, Any]:
    """rules.toml decides who is an administrator: the authorizer refuses all others."""
    return {**g.hanko.claims, "admin_page": page}


@app.post("/payments")
def pay() -> dict[str, Any]:
    return {**g.hanko.claims, "paid": True}


@app.after_request
def let_browsers_read_it(response: Response) -> Response:
    """CORS. The preflight is API Gateway's."""
    response.headers["Access-Control-Allow-Origin"] = os.environ["ALLOWED_ORIGIN"]
    return response


handler = make_lambda_handler(app)
