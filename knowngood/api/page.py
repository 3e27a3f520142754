"""The page for people at `/`: files that hold no data, and what its scripts need to know of us.

Its policy lets it load from here alone, and forbids every way from a string to markup or script.
"""

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.staticfiles import StaticFiles

from knowngood.api.access import Role, needs
from knowngood.health.kpis import KPIS, Unit
from knowngood.runs.model import RunKind, RunState
from knowngood.runs.workflows import NO_RETURN, STEPS

router: Final = APIRouter()

_FILES: Final = StaticFiles(directory=Path(__file__).parent / "page")
_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Asked for anew each time, and answered 304: an upgrade is seen at once.
    "Cache-Control": "no-cache",
}
_SHOWN: Final = ["GET", "HEAD"]


class KpiTerms(BaseModel):
    """How a KPI is shown; of a floor, too little is the breach."""

    unit: Unit
    is_floor: bool


class Vocabulary(BaseModel):
    """The names that the page's scripts work with."""

    states: tuple[RunState, ...] = tuple(RunState)
    kinds: tuple[RunKind, ...] = tuple(RunKind)
    steps: dict[RunKind, tuple[str, ...]] = dict(STEPS)
    no_return: dict[RunKind, str] = dict(NO_RETURN)
    kpis: dict[str, KpiTerms] = {
        kpi.name: KpiTerms(unit=kpi.unit, is_floor=kpi.is_floor) for kpi in KPIS
    }


class TokenDocument(BaseModel):
    """What the token that was sent may do."""

    role: str


@router.api_route("/", methods=_SHOWN, include_in_schema=False)
async def show_page(request: Request) -> Response:
    """Show the page."""
    return await _file("index.html", request)


@router.get("/page/vocabulary.json", include_in_schema=False)
def tell_vocabulary() -> Vocabulary:
    """Tell the page's scripts what we call things."""
    return Vocabulary()


@router.api_route("/page/{name}", methods=_SHOWN, include_in_schema=False)
async def show_file(name: str, request: Request) -> Response:
    """Show a file of the page."""
    return await _file(name, request)


@router.get("/v1/token", tags=["page"])
def tell_role(role: Annotated[Role, needs(Role.READ)]) -> TokenDocument:
    """Tell what the token that is sent may do: its role."""
    return TokenDocument(role=str(role))


async def _file(name: str, request: Request) -> Response:
    answer = await _FILES.get_response(name, request.scope)
    answer.headers.update(_HEADERS)
    return answer
