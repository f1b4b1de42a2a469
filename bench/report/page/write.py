"""Make the page: static HTML by Jinja2, with data, scripts and charts inside it."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.analyse.compare import Comparison
from bench.errors import UserError
from bench.report.changes import Standing, note, plain, ranked_changes, said_once, shortened, standing
from bench.report.charts.draw import CHOSEN, check_libraries
from bench.report.charts.drawing import Drawing, Undrawn
from bench.report.charts.kinds import KINDS
from bench.report.charts.theme import config
from bench.report.compare import MOST
from bench.report.compare import table as compared
from bench.report.page import facts
from bench.report.page.alerts import alerts
from bench.report.page.figures import Figures
from bench.report.page.headline import headline
from bench.report.page.pack import as_json, digest, drawn, packed
from bench.report.table import ABSENT, placed
from bench.runner.gather import CaseSeen, Gathered
from bench.store.atomic import write_bytes

HERE = Path(__file__).parent
_NAV = {
    "pareto": "Trade-offs",
    "percentiles": "Percentiles",
    "ecdf": "ECDF",
    "violin": "Distributions",
    "timeline": "Timeline",
    "roofline": "Roofline",
    "robustness": "Robustness",
    "operators": "Operators",
    "comparison": "Comparison",
}
_TITLES = {
    "pareto": "Trade-offs",
    "percentiles": "Percentiles of latency",
    "ecdf": "Latency, cumulated",
    "violin": "Latency, distributed",
    "timeline": "Power, memory, clocks and temperature",
    "roofline": "Roofline",
    "robustness": "Accuracy under corruption",
    "operators": "Operator times",
    "comparison": "Against the baseline",
}
_READ: dict[Standing, str] = {
    "worse": "worse",
    "better": "better",
    "unclear": "not decided",
    "absent": "no ratio",
    "same": "unchanged",
}
_ABOUT = {
    "pareto": "What each choice costs against what it gives. Points on the front are beaten by no other one.",
    "percentiles": "How long calls take, from the typical one to the slowest of a hundred.",
    "ecdf": "The share of calls that were answered within a time.",
    "violin": "How often each latency occurred, on a logarithmic axis.",
    "timeline": "What the sensors read while one case ran, with its phases.",
    "roofline": "How near each case comes to the most that its machine can do.",
    "robustness": "What is left of the task metric when inputs become worse.",
    "operators": "Where the time of one inference goes.",
    "comparison": "How the last run differs from the baseline.",
}


def check_page_libraries(where: str) -> None:
    """Raises `UserError` where no page can be made here; `where` is the command that asked for one."""
    check_libraries(where)
    if importlib.util.find_spec("jinja2") is None:
        raise UserError("a page needs jinja2, not installed here", where=where, remedy="pip install jinja2")


def html(gathered: Gathered, title: str | None = None) -> str:
    """The whole page as one text: it asks no network for anything, and its policy forbids it to.

    Raises:
        UserError: a library that draws is not installed.
    """
    check_page_libraries("report")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    figures = Figures(gathered)
    charts = _charts(gathered)
    style, script = (HERE / "page.css").read_text(), (HERE / "page.js").read_text()
    vega = _vega()
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["counted"] = _counted
    headings = figures.headings()
    undrawn = [each for drawings in charts.values() for each in drawings if isinstance(each, Undrawn)]
    return environment.get_template("page.html.j2").render(
        title=title or _title(gathered),
        gathered=gathered,
        cases=gathered.cases,
        several=len(gathered.runs) > 1,
        alerts=alerts(gathered, undrawn),
        heads=headline(gathered, figures),
        headings=headings,
        cells=[figures.cells(at, headings) for at in range(len(gathered.cases))],
        nowhere=figures.nowhere(),
        filters=_filters(gathered.cases),
        chosen=set(_chosen(gathered.cases)),
        best={heading.metric: figures.best(heading.metric) for heading in headings},
        value_of=lambda at, metric: repr(figures.of(at, metric).value),
        some_not_ok=any(case.row.status != "ok" for case in gathered.cases),
        most=CHOSEN,
        nav=_NAV,
        titles=_TITLES,
        charts=[(KINDS[name], _ABOUT[name], drawings) for name, drawings in _numbered(charts)],
        comparison=_comparison(gathered),
        sheets=facts.sheets(gathered),
        notes=facts.notes(gathered),
        ran_on=lambda case: placed(case.row),
        ABSENT=ABSENT,
        style=style,
        script=script,
        policy=_policy(style, script, vega),
        vega=packed(vega),
        data=packed(as_json(_data(gathered, figures, charts))),
    )


def write(path: Path, gathered: Gathered, title: str | None = None) -> None:
    """The page as a file, whole. Raises `UserError` where a library is missing, or the disk refuses."""
    write_bytes(path, html(gathered, title).encode())


def _title(gathered: Gathered) -> str:
    names = list(dict.fromkeys(model.name for run in gathered.runs for model in run.manifest.models))
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more if names else "Benchmark report"


def _policy(style: str, *scripts: str) -> str:
    """Nothing but this page's own scripts and style, by their hashes; no address may be asked for anything.

    Vega's expressions run in an interpreter (`ast`), so that nothing is evaluated from a string. It writes the sizes
    and cursors of its drawing as style attributes, which alone are allowed without a hash.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(digest(script) for script in scripts)}",
            f"style-src-elem {digest(style)}",
            "style-src-attr 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


@functools.cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, as vl-convert carries them."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle


def _charts(gathered: Gathered) -> dict[str, Sequence[Drawing | Undrawn]]:
    return {name: KINDS[name].draw(gathered) for name in KINDS}


def _numbered(
    charts: dict[str, Sequence[Drawing | Undrawn]],
) -> list[tuple[str, list[tuple[int | None, Drawing | Undrawn]]]]:
    """The drawings with their places in the data; what is not drawn has none."""
    places = iter(range(sum(map(len, charts.values()))))
    return [
        (name, [(next(places) if isinstance(each, Drawing) else None, each) for each in drawings])
        for name, drawings in charts.items()
    ]


def _data(gathered: Gathered, figures: Figures, charts: dict[str, Sequence[Drawing | Undrawn]]) -> dict[str, Any]:

    return {
        "cases": [
            {
                "id": case.row.case.id,
                "run": case.run,
                "label": case.label,
                "name": case.row.case.name,
                "facts": facts.of_case(case),
                "warnings": case.row.warnings,
                "missing": _missing(case),
            }
            for case in gathered.cases
        ],
        "figures": figures.columns(),
        "charts": [
            {
                "kind": each.kind,
                "about": each.about,
                "scope": each.scope,
                "spec": each.spec,
                "data": {name: drawn(columns) for name, columns in each.data.items()},
            }
            for drawings in charts.values()
            for each in drawings
            if isinstance(each, Drawing)
        ],
        "themes": {"light": config(False), "dark": config(True)},
    }


def _missing(case: CaseSeen) -> dict[str, list[str]]:
    """Why a chart of one case shows less than it might, by the kind of chart."""
    told: dict[str, list[str]] = {}
    if case.timeline is None:
        told["timeline"] = ["no sensor readings and no phases are on record"]
    elif case.timeline.missing:
        told["timeline"] = [f"{name}: {reason}" for name, reason in case.timeline.missing.items()]
    if case.operators is None:
        told["operators"] = ["the case was not profiled: `bench layers` does"]
    elif case.operators.reason is not None:
        told["operators"] = [case.operators.reason]
    else:
        told["operators"] = list(case.operators.limits)
    return told


def _chosen(cases: Sequence[CaseSeen]) -> list[int]:
    """The first few cases that have a distribution to draw."""
    return [at for at, case in enumerate(cases) if case.distribution is not None][:CHOSEN]


def _filters(cases: Sequence[CaseSeen]) -> list[tuple[str, list[str]]]:
    """What the table can be narrowed by: names and their values."""
    parts: tuple[tuple[str, Callable[[CaseSeen], str]], ...] = (
        ("model", lambda case: case.row.case.model),
        ("variant", lambda case: case.row.case.variant),
        ("runtime", lambda case: case.row.case.target),
        ("status", lambda case: case.row.status),
    )
    return [(name, list(dict.fromkeys(of(case) for case in cases))) for name, of in parts]


def _comparison(gathered: Gathered) -> dict[str, Any] | None:
    """The largest changes as a table, how many are not in it, and why figures are known on one side only."""
    found = gathered.comparison
    if found is None:
        return None
    there = ranked_changes(c for c in found.changes if c.before is not None and c.after is not None)
    shown = there[:MOST]
    return {
        "table": compared(shown, f"{found.after} against {found.before}") if shown else None,
        "standings": [standing(change) for change in shown],
        "reading": [note(change) or _READ[standing(change)] for change in shown],
        "left": len(there) - len(shown),
        "alone": _alone(found),
    }


def _alone(found: Comparison) -> list[str]:
    """Why figures are known on one side only, with the first cases of each reason."""
    told: dict[str, dict[str, None]] = {}
    for change in found.changes:
        if (change.before is None) != (change.after is None):
            told.setdefault(change.absent or "known on one side only", {})[change.case] = None
    pairs = [(reason, name) for reason, cases in told.items() for name in shortened(list(cases))[1]]
    return [f"{reason} ({those})" for reason, those in said_once(pairs)]


def _shown(value: Any) -> Any:
    """Texts of others without what no browser shows; what is marked as safe is our own."""
    return plain(value) if type(value) is str and not value.isprintable() else value


def _counted(count: int, one: str) -> str:
    """`1 case`, `1,200 cases`."""
    return f"{count:,} {one}" + ("" if count == 1 else "s")
