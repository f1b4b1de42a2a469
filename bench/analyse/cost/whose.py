"""Which machine a run is billed for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analyse.cost.terms import Terms, terms_of
from bench.hardware.load import load_profile, readable_profiles
from bench.hardware.match import best, fits
from bench.hardware.schema import HardwareProfile
from bench.record.environment import Environment
from bench.store.manifest import Manifest
from bench.suite.effort import Effort
from bench.suite.validate import validate

NO_FIT = "no hardware profile fits the machine of the run: --profile names one"


def terms_for(
    manifest: Manifest,
    word: str | None = None,
    effort: Effort | None = None,
    slots: int | None = None,
    folders: Sequence[Path] = (),
) -> Terms:
    """The terms of the profile that `word` names, else of the run's own, else of that which fits its machine best.

    A profile that `word` names has to be of the machine that measured, or its bills are unknown: what was measured
    elsewhere does not hold there. The run's own is taken for what the user said it is.

    Raises:
        UserError: there is no such profile, or it cannot be read, or its currency is not that of the costs file.
    """
    profile = _profile(manifest, word, folders)
    elsewhere = "" if profile is None or word is None else _elsewhere(manifest.environment, profile)
    return terms_of(profile, effort, slots, no_profile=NO_FIT, elsewhere=elsewhere)


def _profile(manifest: Manifest, word: str | None, folders: Sequence[Path]) -> HardwareProfile | None:
    if word is not None:
        return load_profile(word, folders)
    if manifest.profile is not None:
        return validate(manifest.profile, HardwareProfile, where=f"the profile of the run {manifest.run_id}")
    return best(manifest.environment, readable_profiles(folders)[0])


def _elsewhere(environment: Environment, profile: HardwareProfile) -> str:
    (fit,) = fits(environment, {profile.name: profile})
    if fit.fits:
        return ""
    return (
        f"it was not measured on {profile.name}, as {fit.why}: measure it there, or project it with "
        f"`bench recommend --on {profile.name}`"
    )
