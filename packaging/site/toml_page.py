"""The page on every TOML file that a user writes, made from the classes that check them."""

from __future__ import annotations

from json_schema import Schema, sections

from bench.hardware.schema import HardwareProfile
from bench.suite.effort import Effort
from bench.suite.schema import InputsFile, Suite
from bench.zoo import card

TITLE = """# Files that you write

Made from the classes that check these files. A key that is not listed is refused, with the nearest valid one. "Table"
means a TOML table; the JSON Schema of each file is there for editors.
"""
# The model's file as it stands on disk; `ModelCard` is one of its settings in force.
_CARD = card._CardFile

_FILES = (
    (
        "suite",
        "Suite",
        "[Suites](../suites.md) shows one, [gate](../compare.md) and [tune](../tune.md) have pages of their own.",
        Suite,
        {
            "Suite": "The file",
            "Matrix": "A table in `matrix`",
            "Measure": "`measure`",
            "VariantDefinition": "A table in `variants`",
            "InputDefinition": "A table in `inputs`",
            "Tune": "`tune`",
            "Values": "A dimension of `tune.space`",
        },
    ),
    (
        "inputs",
        "Inputs",
        "What `--inputs` reads; see [your own model](../own-model.md#inputs-and-axes).",
        InputsFile,
        {"InputsFile": "The file", "InputDefinition": "A table in `inputs`"},
    ),
    (
        "model",
        "Model card",
        "`model.toml` of a model of the zoo; see [add a model](../add-a-model.md).",
        _CARD,
        {
            "_CardFile": "The file",
            "Setting": "A table in `setting`",
            "Training": "`training`",
            "EarlyStopping": "`training.early_stopping`",
            "Augmentation": "`augmentation`",
            "Pruning": "`pruning`",
            "Hyper": "A table in `tune`",
        },
    ),
    (
        "profile",
        "Hardware profile",
        "[Hardware profiles](../profiles.md) explains the figures.",
        HardwareProfile,
        {
            "HardwareProfile": "The file",
            "Match": "`match`",
            "Stated": "A figure",
            "StatedNames": "A list of names",
            "Memory": "`memory`",
            "Power": "`power`",
            "Price": "`price`",
            "Energy": "`energy`",
        },
    ),
    (
        "costs",
        "Costs",
        "What `--costs` reads; see [what it costs](../cost.md#the-models-life).",
        Effort,
        {
            "Effort": "The file",
            "Engineering": "`engineering`",
            "Data": "`data`",
            "TrainingCosts": "`training`",
            "EnergyPrice": "`energy`",
            "Hardware": "`hardware`",
        },
    ),
)


def schemas() -> dict[str, Schema]:
    """The JSON Schema of each file, by the name that the site gives it."""
    return {f"{name}.schema.json": file.model_json_schema() for name, _, _, file, _ in _FILES}


def markdown() -> str:
    """The whole page."""
    return "\n".join([TITLE, *(_file(*one) for one in _FILES)])


def _file(name: str, title: str, about: str, file: type, titles: dict[str, str]) -> str:
    schema = file.model_json_schema()
    return (
        f"## {title}\n\n{about} JSON Schema: [{name}.schema.json]({name}.schema.json).\n\n"
        f"{sections(schema, page=name, titles=titles, order=tuple(titles))}"
    )
