"""The live view of a run: what goes on now, what was found of it so far, what is done, how long it will take."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live as Redrawn
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from bench.optional import installed
from bench.report.align import shortened
from bench.report.gauges import Gauges
from bench.report.safe import spelled
from bench.report.units import digits, scale_for, text
from bench.runner.events import REST, Sight
from bench.stats.percentile import rank_interval
from bench.stats.ranks import nearest_rank

PERIOD_S = 0.5
"""How often the view is drawn: a reader needs no more, and each time costs the harness's core some milliseconds."""
CONFIDENCE = 0.95
_FINISHED = 4
_FAILED = 3
_BAR = 24
_DIGITS = 4
"""Of a running median: its bounds are often alike in the first three."""
_KEY = 9
_TIMED = frozenset({"warm-up", "measure", "search"})


@dataclass(frozen=True)
class Finished:
    """A case that is done, and what came of it."""

    name: str
    told: str
    failed: bool


@dataclass
class Scene:
    """What there is to see. One thread changes it, another draws it: each field is set at one go."""

    heading: str = "starting"
    is_case: bool = False
    on_gpu: bool = False
    share: float | None = None
    phase: str = ""
    since: float = field(default_factory=time.monotonic)
    samples: int = 0
    medians_s: list[float] = field(default_factory=list)
    blockwise: bool = False
    done: int = 0
    total: int = 0
    ends_at: float | None = None
    recent: deque[Finished] = field(default_factory=lambda: deque(maxlen=_FINISHED))
    failures: list[Finished] = field(default_factory=list)
    sight: Sight | None = None
    shared: bool = False
    """The harness has no core of its own while this is measured."""

    def turn(self, heading: str, *, case: bool = False, share: float | None = None, blockwise: bool = False) -> None:
        """Something else goes on from now."""
        if heading != self.heading:
            self.since = time.monotonic()
        self.heading, self.is_case, self.share, self.blockwise = heading, case, share, blockwise
        self.shared = False
        self.phase, self.samples, self.medians_s = "", 0, []

    def enter(self, phase: str) -> None:
        """A phase of it begins."""
        self.phase, self.since, self.samples = phase, time.monotonic(), 0
        # What was measured stays in sight until the next case, or until it is measured anew.
        if phase in _TIMED:
            self.medians_s = []

    def block(self, phase: str, samples: int, median_s: float) -> None:
        """A block of the phase is done."""
        self.phase, self.samples = phase, samples
        self.medians_s.append(median_s)

    def count(self, done: int, total: int) -> None:
        """So much of all is done."""
        self.done, self.total = done, total

    def finished(self, name: str, told: str, failed: bool) -> None:
        """One more is done."""
        made = Finished(name, told, failed)
        self.recent.append(made)
        if failed:
            self.failures.append(made)

    @property
    def rests(self) -> bool:
        """Whether drawing would take time from what is being measured."""
        return self.shared and self.phase not in ("evaluate", REST)


class View:
    """Draws a scene on a terminal, from a thread of its own.

    That thread is one of this process, which the conductor keeps off the measuring cores; where there are too few
    cores for that, the view stands still while a case is measured.
    """

    def __init__(self, console: Console, scene: Scene) -> None:
        self._scene, self._console = scene, console
        self._gauges = Gauges()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        # Standard output is the command's own, also where both are one terminal.
        self._redrawn = Redrawn(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            get_renderable=lambda: draw(self._scene, self._gauges, console),
        )

    def start(self) -> None:
        """Begin to draw, if that was not done yet."""
        if self._thread is None:
            # What drawing needs is loaded before anything is measured.
            _ranks(_ENOUGH)
            self._redrawn.start(refresh=True)
            self._thread = threading.Thread(target=self._go_on, name="view", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Draw no more; what was drawn vanishes."""
        if self._thread is not None:
            self._over.set()
            self._thread.join(timeout=2 * PERIOD_S)
            with suppress(OSError):
                self._redrawn.stop()

    def draw(self) -> None:
        """Draw it now."""
        if self._thread is not None:
            # A terminal that has gone away is no reason to stop measuring.
            with suppress(OSError):
                self._redrawn.refresh()

    def _go_on(self) -> None:
        while not self._over.wait(PERIOD_S):
            if not self._scene.rests:
                if self._scene.sight is not None:
                    of = self._scene.heading if self._scene.is_case and self._scene.phase != REST else None
                    self._gauges.read(self._scene.sight, of)
                self.draw()


def draw(scene: Scene, gauges: Gauges, console: Console) -> RenderableType:
    """The scene in the width of the console; figures are shown whole or not at all."""
    width, mark = console.width, spelled("…", console)
    room = max(1, width - _KEY)
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(style="dim", width=_KEY - 1, no_wrap=True)
    grid.add_column(no_wrap=True)
    for key, value in _lines(scene, gauges, room):
        told = spelled(value, console)
        grid.add_row(key, Text(shortened(told, room, mark), style="bold" if key in ("case", "median") else ""))
    recent = _listed(scene, max(1, console.height - 10))
    return Group(
        *(_finished(one, width, console, mark) for one in recent),
        grid,
        *([_bar(scene, width)] if scene.total or scene.share is not None else []),
    )


def _lines(scene: Scene, gauges: Gauges, room: int) -> Iterable[tuple[str, str]]:
    """What goes on, by key."""
    elapsed = f"{time.monotonic() - scene.since:.0f} s"
    if not scene.is_case:
        yield "now", scene.heading
        yield "for", elapsed
        return
    yield "case", scene.heading
    if scene.rests:
        yield "phase", "measuring; this view rests, as there is no core for it"
        return
    samples = [f"{scene.samples:,} samples"] if scene.samples else []
    yield "phase", _joined([scene.phase or "start", elapsed, *samples], room)
    yield "median", _joined(_median(scene), room, " ")
    if scene.sight is not None:
        yield "power", _joined(gauges.power(scene.sight, on_gpu=scene.on_gpu), room, "; ")
        yield "memory", _joined(gauges.memory(scene.sight, scene.heading), room)


def _median(scene: Scene) -> list[str]:
    """The running median and its interval, as parts that are shown whole."""
    medians = sorted(scene.medians_s)
    if not medians:
        return ["none yet"]
    if not scene.blockwise:
        return [text(scene.medians_s[-1], "s"), "of late"]
    factor, unit = scale_for("s", medians)
    ranks = _ranks(len(medians))
    told = [f"{digits(medians[nearest_rank(len(medians), 0.5) - 1] / factor, _DIGITS)} {unit}"]
    if ranks is not None:
        low, high = (digits(medians[rank - 1] / factor, _DIGITS) for rank in ranks)
        told.append(f"[{low}, {high}] {CONFIDENCE:.0%}")
    return [*told, f"of {len(medians):,} blocks"]


@lru_cache(maxsize=4096)
def _ranks(n: int) -> tuple[int, int] | None:
    """Ranks of the block medians that enclose the true median: no assumption on how they are distributed."""
    return rank_interval(n, 0.5, CONFIDENCE) if installed("scipy") else None


_ENOUGH = 6
"""Fewer blocks than this have no interval at 95 %."""


def _listed(scene: Scene, most: int) -> list[Finished]:
    """The last cases that are done, after the failures before them."""
    recent = list(scene.recent)
    failed = [one for one in scene.failures if one not in recent]
    return [*failed[-_FAILED:], *recent][-most:]


def _finished(one: Finished, width: int, console: Console, mark: str) -> Text:
    told, name = spelled(one.told, console), spelled(one.name, console)
    if one.failed:
        return Text(shortened(f"FAILED {name}: {told}", width, mark), style="bold red", no_wrap=True)
    # The figure first: it is what must not be cut.
    told = shortened(told, width, mark)
    room = width - cell_len(told) - 2
    return Text(f"{told}  {shortened(name, room, mark)}" if room > 1 else told, style="green", no_wrap=True)


def _bar(scene: Scene, width: int) -> RenderableType:
    """How much is done and the time left."""
    if scene.total:
        share = scene.done / scene.total
        told = [f"{scene.done}/{scene.total}"]
        told += [f"{len(scene.failures)} failed"] if scene.failures else []
        told += [_about(scene.ends_at - time.monotonic())] if scene.ends_at is not None and scene.is_case else []
    else:
        share = scene.share or 0.0
        told = [f"{share:.0%}"]
    line = Grid.grid(padding=(0, 1, 0, 0))
    shown = _joined(told, width)
    bar = min(_BAR, width - cell_len(shown) - 1)
    cells: list[RenderableType] = [Text(shown, no_wrap=True)]
    if bar >= 4:
        line.add_column(width=bar)
        cells.insert(0, ProgressBar(total=1.0, completed=share, width=bar))
    line.add_column(no_wrap=True)
    line.add_row(*cells)
    return line


def _about(seconds: float) -> str:
    seconds = max(0.0, seconds)
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


def _joined(parts: Sequence[str], room: int, between: str = ", ") -> str:
    """As many of the parts as have room, the first in any case."""
    made = parts[0]
    for part in parts[1:]:
        if cell_len(made) + len(between) + cell_len(part) > room:
            break
        made += between + part
    return made
