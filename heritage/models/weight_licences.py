"""Licences of pretrained weights, as timm records them.

Some restrict use or publication, also of networks that are trained from the weights (DINOv3's, Creative
Commons without commercial use): these are named before the weights are fetched, and in the model card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from heritage.core.escaping import one_line

PERMISSIVE = frozenset({"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0"})
"""timm's identifiers of licences that permit any use of the weights, with attribution."""

_TITLES = {
    "apache-2.0": ("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    "mit": ("MIT", "https://opensource.org/license/mit"),
    "bsd-3-clause": ("BSD-3-Clause", "https://opensource.org/license/bsd-3-clause"),
    "cc-by-4.0": ("CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"),
    "cc-by-nc-4.0": ("CC-BY-NC-4.0", "https://creativecommons.org/licenses/by-nc/4.0/"),
    "dinov3-license": (
        "DINOv3 License",
        "https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
    ),
}
"""Title and address of licences by timm's identifier; of others the page of the weights gives the address."""

_UNKNOWN = (None, "", "unknown")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """Pretrained weights of timm.

    Attributes:
        name: timm's name, ``architecture.tag``.
        licence: timm's identifier of their licence; None if timm records none.
    """

    name: str
    licence: str | None

    @classmethod
    def read(cls, recorded: object) -> InitialWeights | None:
        """Return a ``initial_weights`` record; None if there is none, or it is none of ours."""
        if not isinstance(recorded, Mapping):
            return None
        name, licence = recorded.get("name"), recorded.get("licence")
        texts = [text for text in (name, licence) if text is not None]
        if not isinstance(name, str) or not all(
            isinstance(text, str) and len(text) <= _LONGEST for text in texts
        ):
            return None
        return cls(one_line(name), None if licence is None else one_line(str(licence)))

    @classmethod
    def of(cls, name: str, licence: str | None) -> InitialWeights:
        """Return weights with timm's record of their licence."""
        return cls(name, None if licence in _UNKNOWN else licence)

    def record(self) -> dict[str, str | None]:
        """Return plain data for ``initial_weights`` record."""
        return asdict(self)

    @property
    def permissive(self) -> bool:
        """Whether the licence is known to permit any use."""
        return self.licence in PERMISSIVE

    @property
    def title(self) -> str:
        """Name of the licence, for readers."""
        if self.licence in _UNKNOWN:
            return "no licence recorded by timm"
        return _TITLES.get(str(self.licence), (str(self.licence), ""))[0]

    @property
    def link(self) -> str:
        """Address of the licence, or of the weights' page, which names it."""
        return _TITLES.get(str(self.licence), ("", f"https://huggingface.co/timm/{self.name}"))[1]

    @property
    def notice(self) -> str | None:
        """What users have to know before they use the weights; None for permissive licences."""
        if self.permissive:
            return None
        if self.licence in _UNKNOWN:
            return f"{self.name}: timm records no licence of these weights; their page: {self.link}"
        return (
            f"{self.name}: the licence of these weights ({self.title}) restricts their use, and may restrict "
            f"that of networks trained from them: {self.link}"
        )
