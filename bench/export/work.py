"""What the export process does with a request."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from bench.export import messages as msg
from bench.export.artifact import describe_artifact, file_name
from bench.export.describe import describe
from bench.export.errors import PASSING, CannotMake
from bench.export.recipes import AS_GIVEN, Wanted
from bench.export.variants import SOURCE, VARIANTS
from bench.export.workshop import Workshop, open_workshop
from bench.files import whole
from bench.record.artifact import Artifact, Epoch, Unavailable
from bench.training.follow import Ended, peak_rss

_TITLES = {"onnx": "ONNX", "tflite": "TFLite", "torch": "PyTorch"}


def work(request: msg.Request, say: Callable[[msg.Message], None]) -> None:
    """Describe the model where asked and make every variant of `request`; a failure costs only its own variant.

    Raises:
        UserError: the model or its data cannot be read.
    """

    def report(text: str, share: float | None = None, *, passing: bool = False) -> None:
        say(msg.Progress(f"{request.source.name}: {text}", share, passing))

    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        shop = open_workshop(request, Path(scratch), report, Teller(say))
        if request.describe:
            say(describe(shop))
        for wanted in request.variants:
            say(msg.Started(wanted))
            answer = _make(shop, wanted)
            say(msg.Made(answer) if isinstance(answer, Artifact) else msg.Missing(answer))


class Teller:
    """Passes on how a training goes."""

    def __init__(self, say: Callable[[msg.Message], None]) -> None:
        self._say = say

    def began(self) -> None:
        """See `bench.training.follow.Follower`."""
        self._say(msg.TrainingBegan())

    def epoch(self, seen: Epoch) -> None:
        """See `bench.training.follow.Follower`."""
        self._say(msg.EpochEnded(seen))

    def ended(self, how: Ended) -> None:
        """See `bench.training.follow.Follower`."""
        self._say(
            msg.TrainingEnded(
                examples=how.examples,
                epochs=how.epochs,
                seconds=how.seconds,
                resumed=how.resumed,
                peak_rss=peak_rss(),
            )
        )


def _make(shop: Workshop, wanted: Wanted) -> Artifact | Unavailable:
    try:
        return _made(shop, wanted)
    except CannotMake as error:
        reason = str(error)
    except (MemoryError, OSError) as error:
        traceback.print_exc()
        reason = f"{PASSING}{type(error).__name__}: {error}"
    except Exception as error:
        traceback.print_exc()
        reason = f"the converter failed: {first_line(error)}"
    shop.report(f"{wanted.format} {wanted.variant} is unavailable: {reason}")
    return Unavailable(variant=wanted.variant, format=wanted.format, reason=reason, recipe=wanted.recipe)


def _made(shop: Workshop, wanted: Wanted) -> Artifact:
    variant, fmt = wanted.variant, wanted.format
    as_given = shop.origin.not_float
    if fmt not in shop.source.formats:
        raise CannotMake(f"a model in {_TITLES[shop.source.kind]} cannot be turned into {_TITLES[fmt]} here")
    if variant == SOURCE and as_given is None:
        raise CannotMake("the model is float32: ask for fp32")
    if as_given is not None and wanted.recipe.base not in (SOURCE, "fp32"):
        raise CannotMake(as_given)
    if as_given is not None:
        wanted = Wanted(SOURCE, fmt, AS_GIVEN)
    spec = VARIANTS["fp32" if wanted.variant == SOURCE else wanted.recipe.base]
    if fmt not in spec.makers:
        raise CannotMake(f"{variant} is not made in {fmt}")
    shop.report(f"converting to {fmt} {wanted.variant}")
    with whole(shop.folder / file_name(shop.source.name, wanted)) as temporary:
        notes = spec.maker(fmt)(shop, temporary, wanted.recipe.options)
        return describe_artifact(shop, wanted, temporary, notes)


def first_line(error: BaseException, limit: int = 300) -> str:
    """The kind of an exception and the first line of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
