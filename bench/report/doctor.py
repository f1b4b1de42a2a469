"""The doctor's findings on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bench.report.listing import draw as draw_list
from bench.report.units import text
from bench.runner.examine import Examination


def draw(console: Console, found: Examination) -> None:
    """Print machine, sensors, runtimes, noise and advice."""
    here = found.environment
    _head(console, "machine")
    told = {
        "cpu": here.cpu_model or "unknown",
        "features": " ".join(here.cpu_features) or "unknown",
        "cores": f"{len(here.cores_usable)} usable of {here.cores_logical}",
        "last-level cache": text(here.cache_bytes, "B") if here.cache_bytes else "unknown",
        "memory": text(here.memory_bytes, "B"),
        "governor": here.governor or f"unavailable: {here.unread.get('governor')}",
        "gpu": ", ".join(here.gpus) or f"none: {here.unread.get('gpus', 'NVML lists no device')}",
        "system": f"{here.system} {here.kernel}, Python {here.python}",
    }
    draw_list(console, [{"": key, " ": value} for key, value in told.items()])
    _head(console, "sensors")
    draw_list(
        console,
        [
            {
                "sensor": s.sensor,
                "available": "yes" if s.available else "no",
                "quantities": ", ".join(s.quantities),
                "reason": s.reason,
            }
            for s in found.sensors
        ],
    )
    _head(console, "runtimes")
    draw_list(console, [{"runtime": line["runtime"], "here": line["here"]} for line in found.runtimes])
    noise = found.noise
    _head(console, f"noise, in {noise.seconds:g} s of one core")
    quiet = {
        "clock": f"step {noise.timer_resolution_ns} ns, one reading {noise.timer_overhead_ns:.0f} ns",
        "interruptions": f"{noise.interruptions_per_s:.0f} a second over 5 µs, {noise.stolen_share:.2%} of the time",
        "longest gap": text(noise.longest_gap_ns * 1e-9, "s"),
        "speed": f"the same work varies by {noise.speed_spread:.1%} (p95 - p5)",
        "drift": f"{found.drift:+.1%} time for the same work, some seconds later",
        "steal": "not counted" if noise.stolen_by_hypervisor is None else f"{noise.stolen_by_hypervisor:.2%} of a core",
        "A/A": f"{len(found.same_again)} fresh processes of one case: medians within {found.spread:.1%}",
    }
    draw_list(console, [{"": key, " ": value} for key, value in quiet.items()])
    _head(console, "what to mend, in order of effect")
    for advice in found.advice or ("nothing that was looked for",):
        console.print(Text(f"• {advice}"))


def _head(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))
