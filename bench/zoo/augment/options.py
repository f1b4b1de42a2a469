"""How far training inputs are varied: the table `[augmentation]` of a model card."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Augmentation(BaseModel):
    """Every value is the largest that is drawn; 0 leaves that kind out.

    Images: `rotation` in degrees, `shift`, `shear` and `zoom` as shares of the side, `flip` left to right.
    Audio: `noise` as a share of the clip's root mean square, `shift` as a share of its length, `speed` as a
    share. Text: `word_dropout`, the share of words left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotation: float = Field(default=0, ge=0, le=180)
    shift: float = Field(default=0, ge=0, lt=1)
    shear: float = Field(default=0, ge=0, lt=1)
    zoom: float = Field(default=0, ge=0, lt=1)
    flip: bool = False
    noise: float = Field(default=0, ge=0)
    speed: float = Field(default=0, ge=0, lt=1)
    word_dropout: float = Field(default=0, ge=0, lt=1)

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of what is varied."""
        return tuple(name for name in type(self).model_fields if getattr(self, name))
