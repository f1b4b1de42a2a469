"""Two revisions of a user's project, each in a temporary worktree, measured by a command of the user's."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import orphans, wire
from bench.errors import UserError
from bench.process import ChildProcess, describe_exit
from bench.record.observation import Failure
from bench.worker.measure import OnProgress

_TAIL_LINES = 12
PREPARE_S = 3600.0
"""What a preparation may last: a build takes longer than the rounds may."""


class CommandSide:
    """A command run in a folder by a fresh process each time; see `bench.runner.paired.Side`.

    Its figures are `wall_time`, `cpu_time` (s) and `peak_rss` (B), from the kernel. The first run is made twice and
    counted once: it fills the caches of the interpreter and of the disk. A run may last `timeout_s`.
    """

    def __init__(self, name: str, command: str, folder: Path, timeout_s: float) -> None:
        self._name, self._command, self._folder, self._timeout_s = name, command, folder, timeout_s
        self._warm = False

    @property
    def name(self) -> str:
        """The revision."""
        return self._name

    def measure(self, case: str, at: int, on_progress: OnProgress) -> dict[str, float] | Failure:
        """See `bench.runner.paired.Side`."""
        del case, at, on_progress  # one command, which tells nothing while it runs
        if not self._warm:
            first = run_command(self._command, self._folder, self._timeout_s)
            if isinstance(first, Failure):
                return first
            self._warm = True
        return run_command(self._command, self._folder, self._timeout_s)


@contextmanager
def checked_out(revisions: tuple[str, str], scratch: Path) -> Iterator[tuple[tuple[str, Path], tuple[str, Path]]]:
    """Names and folders of two revisions of the git project that the current folder is in; they are gone afterwards.

    A folder stands for the current one: in a project's subfolder it is that subfolder.

    Raises:
        UserError: this is no git project, a revision does not exist, or it does not hold the current folder.
    """
    top = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel", what="the current folder is in no git project"))
    inside = _git(Path.cwd(), "rev-parse", "--show-prefix", what="the current folder is in no git project")
    made: list[Path] = []
    try:
        sides = []
        for which, revision in zip(("a", "b"), revisions, strict=True):
            where = f"--rev-{which} {revision}"
            commit = _git(
                top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}",
                what="there is no such revision", where=where,
            )  # fmt: skip
            folder = scratch / f"revision-{which}"
            made.append(folder)
            _git(
                top, "worktree", "add", "--detach", "--force", str(folder), commit,
                what="cannot be checked out", where=where,
            )  # fmt: skip
            if not (folder / inside).is_dir():
                raise UserError(f"the folder {inside} does not exist in that revision", where=where)
            sides.append((revision if commit.startswith(revision) else f"{revision} ({commit[:9]})", folder / inside))
        yield sides[0], sides[1]
    finally:
        for folder in made:
            subprocess.run(
                ["git", "-C", str(top), "worktree", "remove", "--force", "--force", str(folder)],
                capture_output=True,
                check=False,
            )
        subprocess.run(["git", "-C", str(top), "worktree", "prune"], capture_output=True, check=False)


def prepare(command: str, name: str, folder: Path) -> None:
    """Run `command` once in the worktree of a revision, `PREPARE_S` at most. Raises `UserError` where it fails.

    A service that it starts in a session of its own stays: the rounds may need it.
    """
    done = run_command(command, folder, PREPARE_S, services_stay=True)
    if isinstance(done, Failure):
        raise UserError(
            f"it could not be prepared: {done.reason}\n{done.tail}".rstrip(),
            where=f"--prepare in {name}",
            remedy="make the command run there, or leave it out",
        )


def run_command(
    command: str, folder: Path, timeout_s: float, *, services_stay: bool = False
) -> dict[str, float] | Failure:
    """Run `command` in `folder` by a fresh process: wall and CPU time (s), peak resident set (B), or why it failed.

    What it leaves behind is ended, but with `services_stay` for what has a session of its own.
    """
    job = {
        "command": command,
        "folder": str(folder),
        "environment": dict(os.environ),
        "inherited": [] if services_stay else [orphans.MARK],
    }
    with ChildProcess("bench.worker.command", results=1) as child:
        deadline = time.monotonic() + timeout_s
        child.send(json.dumps(job).encode())
        try:
            frame = child.receive(deadline - time.monotonic())
        except TimeoutError:
            child.kill()
            return _failure(child, f"the command was ended after {timeout_s:g} s, when the time was over")
        except wire.WireError as error:
            child.kill()
            return _failure(child, f"the process sent something unreadable: {error}")
        if frame is None:
            ending = child.end()
            return _failure(child, describe_exit(ending, "the command"), ending.code)
        told: dict[str, float] = json.loads(frame)
        code = int(told.pop("exit_code"))
        if code != 0:
            how = f"the signal {-code}" if code < 0 else f"exit code {code}"
            return _failure(child, f"the command ended with {how}", code)
        return told


def _failure(child: ChildProcess, reason: str, code: int | None = None) -> Failure:
    tail = "\n".join(child.tail().splitlines()[-_TAIL_LINES:])
    return Failure(reason=reason, phase="command", exit_code=code, tail=tail)


def _git(folder: Path, *arguments: str, what: str, where: str | None = None) -> str:
    """What git prints, without the end of the line. Raises `UserError` with `what` where it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise UserError(f"git cannot be run: {error.strerror}", remedy="install git") from error
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:]
        raise UserError(": ".join([what, *why]), where=where or str(folder), remedy="see `git log` and `git status`")
    return done.stdout.rstrip("\n")
