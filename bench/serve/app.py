"""The pages and their addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bench import __version__
from bench.errors import UserError
from bench.record.codec import json_bytes
from bench.report import compare as report
from bench.report.changes import plain
from bench.report.document import comparison_document
from bench.serve import views
from bench.serve.aside import aside
from bench.serve.guard import REPORT_POLICY, Guard, Hosts
from bench.serve.shelf import Shelf
from bench.shown import shown
from bench.store.open import PREFIX

_HERE = Path(__file__).parent
_BAD_REQUEST, _NOT_FOUND, _UNREADABLE = 400, 404, 422


def make_app(results: Path, hosts: Hosts) -> ASGIApp:
    """The application over the runs in `results`, for requests under the names in `hosts`."""
    pages = _Pages(Shelf(results))
    app = Starlette(
        routes=[
            Route("/", aside(pages.index)),
            Route("/runs/{run}.json", aside(pages.run_json)),
            Route("/runs/{run}", aside(pages.run)),
            Route("/compare", aside(pages.compare)),
            Route("/compare.json", aside(pages.compare_json)),
            Route("/serve.css", aside(pages.style)),
        ],
        exception_handlers={HTTPException: pages.no_such_page, UserError: pages.refused},
    )
    app.router.redirect_slashes = False
    return Guard(app, hosts)


class _Pages:
    """Every page reads and renders; none of them writes."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._style = (_HERE / "serve.css").read_bytes()
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"version": __version__, "results": plain(str(shelf.results))}

    def index(self, request: Request) -> Response:
        """The list of runs and baselines, and the form that compares two."""
        query = request.query_params
        text, sort, order = query.get("text", ""), query.get("sort", "made"), query.get("order", "down")
        sort, order = sort if sort in views.COLUMNS else "made", order if order in ("up", "down") else "down"
        runs = self._shelf.runs()
        return self._page(
            "index.html",
            lines=views.chosen(runs, text, sort, order),
            headings=views.headings(text, sort, order),
            total=len(runs),
            baselines=self._shelf.baselines(),
            prefix=PREFIX,
            text=plain(text),
            sort=sort,
            order=order,
        )

    def run(self, request: Request) -> Response:
        """The report of a run."""
        return HTMLResponse(
            self._shelf.report(self._named(request)), headers={"content-security-policy": REPORT_POLICY}
        )

    def run_json(self, request: Request) -> Response:
        """A run as `bench show --json` prints it."""
        return _json(self._shelf.document(self._named(request)))

    def compare(self, request: Request) -> Response:
        """One run or baseline against another."""
        asked = _asked(request)
        return self._page(
            "compare.html",
            asked=asked,
            command=shown(asked.command(str(self._shelf.results))),
            told=views.compared(self._shelf, asked),
            refused=report.REFUSED,
            remedy=report.REMEDY,
            nothing=report.NOTHING,
        )

    def compare_json(self, request: Request) -> Response:
        """A comparison as `bench compare --json` prints it."""
        return _json(comparison_document(views.compared(self._shelf, _asked(request)).found))

    def style(self, request: Request) -> Response:
        """The style sheet."""
        del request
        return Response(self._style, media_type="text/css")

    def no_such_page(self, request: Request, error: Exception) -> Response:
        """An address that leads nowhere."""
        del request
        assert isinstance(error, HTTPException)
        gone = UserError("there is no such page", remedy="choose a run from the list")
        return self._problem(gone if error.status_code == _NOT_FOUND else UserError(error.detail), error.status_code)

    def refused(self, request: Request, error: Exception) -> Response:
        """What the commands would say with exit code 2."""
        assert isinstance(error, UserError)
        return self._problem(error, _BAD_REQUEST if request.url.path.startswith("/compare") else _UNREADABLE)

    def _named(self, request: Request) -> str:
        """The run that the address names. Raises 404 where it is not one of those listed."""
        name = str(request.path_params["run"])
        if name not in {run.name for run in self._shelf.runs()}:
            raise HTTPException(_NOT_FOUND)
        return name

    def _problem(self, error: UserError, status: int) -> Response:
        told = {name: plain(value or "") for name, value in vars(error).items()}
        return self._page("problem.html", status, what=told["what"], where=told["where"], remedy=told["remedy"])

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(values), status_code=status)


def _asked(request: Request) -> views.Asked:
    query = request.query_params
    before, after = query.get("before", ""), query.get("after", "")
    if not before or not after:
        raise UserError(
            "a comparison takes two runs", where="before, after", remedy="pick one of each in the list of runs"
        )
    return views.Asked(
        before=before,
        after=after,
        only=query.get("only", "").strip(),
        normalise_by=query.get("normalise_by", "").strip(),
        allow=tuple(dict.fromkeys(query.getlist("allow"))),
    )


def _json(record: Any) -> Response:
    return Response(json_bytes(record) + b"\n", media_type="application/json")
