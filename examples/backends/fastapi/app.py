"""FastAPI behind an HTTP API. The caller comes from the authorizer's context; without it only `/` is served."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from mangum import Mangum

from authorizer.middleware.fastapi import Session, hanko_session

app = FastAPI(openapi_url=None)  # no pages but ours
Caller = Annotated[Session, Depends(hanko_session)]


@app.get("/")
async def index() -> dict[str, Any]:
    return {"open": True}


@app.get("/me")
@app.get("/web/me")  # takes the cookie, too: see the template
async def me(caller: Caller) -> dict[str, Any]:
    return dict(caller.claims)


@app.get("/admin/{page:path}")
async def admin(page: str, caller: Caller) -> dict[str, Any]:
    """rules.toml decides who is an administrator: the authorizer refuses all others."""
    return {**caller.claims, "admin_page": page}


@app.post("/payments")
async def pay(caller: Caller) -> dict[str, Any]:
    return {**caller.claims, "paid": True}


handler = Mangum(app, lifespan="off")
