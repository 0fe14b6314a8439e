"""FastAPI behind an HTTP API. The caller is who the authorizer says; without its word nothing but `/` is served."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field, ValidationError

app = FastAPI(openapi_url=None)  # no pages but ours


class Identity(BaseModel):
    """Who is calling, and whatever else the authorizer passed on. An HTTP API keeps the types of the values."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    user_id: Annotated[str, Field(min_length=1)]


async def identify(request: Request) -> Identity:
    """The dependency of every route but the open one. Never from a header: anyone can send those."""
    try:
        return Identity.model_validate(request.scope["aws.event"]["requestContext"]["authorizer"]["lambda"])
    except (KeyError, TypeError, ValidationError):
        raise HTTPException(500) from None  # no authorizer in front of this route: never serve


Caller = Annotated[Identity, Depends(identify)]


@app.get("/")
async def index() -> dict[str, Any]:
    return {"open": True}


@app.get("/me")
@app.get("/web/me")  # takes the cookie, too: see the template
async def me(caller: Caller) -> dict[str, Any]:
    return caller.model_dump()


@app.get("/admin/{page:path}")
async def admin(page: str, caller: Caller) -> dict[str, Any]:
    """Who is an administrator is decided by rules.toml, before anything gets here."""
    return {**caller.model_dump(), "admin_page": page}


@app.post("/payments")
async def pay(caller: Caller) -> dict[str, Any]:
    return {**caller.model_dump(), "paid": True}


handler = Mangum(app, lifespan="off")
