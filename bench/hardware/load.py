"""A name or a path becomes a hardware profile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from platformdirs import user_config_dir

from bench.errors import UserError, unknown
from bench.hardware.schema import HardwareProfile
from bench.suite.validate import load_toml

FOLDER = "hardware_profiles"
_SUFFIX = ".toml"


def profile_folders(given: Sequence[Path] = ()) -> list[Path]:
    """Where profiles are looked for, first wins: `given`, here, the user's own, the wheel's, the checkout's."""
    package = Path(str(resources.files("bench")))
    own = Path(user_config_dir("counterpoise"))
    return [*given, Path(FOLDER), own / FOLDER, package / "_data" / FOLDER, package.parent / FOLDER]


def profiles(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The file of each profile, by name; a file is named as its profile is."""
    found: dict[str, Path] = {}
    for folder in profile_folders(folders):
        if folder.is_dir():
            for path in sorted(folder.glob(f"*{_SUFFIX}")):
                found.setdefault(path.stem, path)
    return found


def load_profile(word: str, folders: Sequence[Path] = ()) -> HardwareProfile:
    """The profile of that name, or in that .toml file.

    Raises:
        UserError: there is none, it is not a whole profile, or its file in a folder of profiles has another name.
    """
    if is_path(word):
        path = Path(word).expanduser()
        # Elsewhere the file is told by its path; in such a folder it would be found by a name that it does not have.
        return _named(path) if path.resolve().parent.name == FOLDER else _read(path)
    known = profiles(folders)
    if word not in known:
        raise unknown("hardware profile", word, known, where=f"a name of `bench list profiles` or a {_SUFFIX} file")
    return _named(known[word])


def is_path(word: str) -> bool:
    """Whether it means a file, not a name."""
    return Path(word).suffix == _SUFFIX or os.sep in word


def readable_profiles(folders: Sequence[Path] = ()) -> tuple[dict[str, HardwareProfile], dict[str, UserError]]:
    """All profiles by name, and by name what is wrong with those that cannot be read."""
    loaded: dict[str, HardwareProfile] = {}
    faulty: dict[str, UserError] = {}
    for name, path in profiles(folders).items():
        try:
            loaded[name] = _named(path)
        except UserError as error:
            faulty[name] = error
    return loaded, faulty


def _read(path: Path) -> HardwareProfile:
    return load_toml(path, HardwareProfile, kind="hardware profile")


def _named(path: Path) -> HardwareProfile:
    """The profile in a file that has to be named as it is."""
    profile = _read(path)
    if profile.name != path.stem:
        raise UserError(
            f"the profile in it is called {profile.name!r}",
            where=f"{path}: name",
            remedy=f"call the file {profile.name}{_SUFFIX}, or the profile {path.stem!r}",
        )
    return profile
