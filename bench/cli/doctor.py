"""`bench doctor`."""

from __future__ import annotations

from bench.cli.common import JsonOption, consoles, guarded, print_json


@guarded
def doctor(json: JsonOption = False) -> None:
    """Say what this machine can measure, how noisy it is, and what to mend first."""
    from bench.record.codec import plain
    from bench.report import doctor as report
    from bench.runner.examine import examine

    found = examine()
    if json:
        print_json(plain(found))
    else:
        report.draw(consoles()[0], found)
