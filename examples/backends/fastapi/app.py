"""FastAPI behind an HTTP API. The caller is who the authorizer says; without its word nothing but `/` is served."""

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
    """Who is an administrator is decided by rules.toml, before anything gets here."""
    return {**caller.claims, "admin_page": page}


@app.post("/payments")
async def pay(caller: Caller) -> dict[str, Any]:
    return {**caller.claims, "paid": True}


handler = Mangum(app, lifespan="off")
