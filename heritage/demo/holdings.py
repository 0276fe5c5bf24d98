"""What the demo museum holds: drawn artefacts, with records as The Met and the Louvre write them.

Some are as awkward as real ones: works still under copyright, objects without a photograph, photographs
shared by two objects, objects of a department that belong to no class.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from heritage.core import image_io as picture
from heritage.demo.dataset import DemoRecord, demo_records
from heritage.demo.drawing.artefact import draw_artefact

PUBLISHED = "http://museum.demo"
"""The name under which the museum publishes; no such host exists."""
RECORDED = "2026-01-01"
"""When all records were last changed."""
Painter = Callable[[str, int, int, int, int], bytes]
"""(class, object index, view, pixels a side, seed) → an encoded picture."""
# Class → The Met's department id and name there, the code in image URLs, the Louvre's department.
_DEPARTMENTS: dict[str, tuple[int, str, str, str]] = {
    "egyptian": (10, "Egyptian Art", "eg", "Antiquités égyptiennes"),
    "grecoroman": (13, "Greek and Roman Art", "gr", "Antiquités grecques, étrusques et romaines"),
    "orient": (3, "Ancient Near Eastern Art", "an", "Antiquités orientales"),
    "islam": (14, "Islamic Art", "is", "Arts de l'Islam"),
    "byzantium": (17, "Medieval Art", "md", "Arts de Byzance et des chrétientés en Orient"),
    "asian": (6, "Asian Art", "as", "Arts asiatiques"),
}
_CLOISTERS = 7


def paint(class_name: str, index: int, view: int, size: int, seed: int) -> bytes:
    """Draw an artefact and encode it as a JPEG."""
    return picture.encode_jpeg(draw_artefact(class_name, index, view, size=size, seed=seed))


@dataclass(frozen=True)
class DemoCollection:
    """What the museum holds: the objects of the demo set, some of them as awkward as real ones.

    Attributes:
        images: How many photographs the demo set has; objects have about three.
        picture_size: Pixels a side of a photograph; originals have twice as many.
        seed: Another seed is another museum.
        painter: Makes the pictures.
    """

    images: int
    picture_size: int
    seed: int
    painter: Painter = field(default=paint)

    @cached_property
    def _holdings(self) -> dict[int, tuple[int, list[DemoRecord]]]:
        """Object id → its number in the inventory, and its views."""
        found: dict[int, list[DemoRecord]] = {}
        for record in demo_records(images=self.images, seed=self.seed):
            found.setdefault(record.object_id, []).append(record)
        return {object_id: (number, views) for number, (object_id, views) in enumerate(found.items())}

    @property
    def ids(self) -> KeysView[int]:
        """The object ids."""
        return self._holdings.keys()

    def class_of(self, object_id: int) -> str:
        """Return an object's class."""
        return self._holdings[object_id][1][0].class_name

    def is_public(self, object_id: int) -> bool:
        """Tell whether an object is in the public domain: one in twenty is not."""
        return self._holdings[object_id][0] % 20 != 7

    def is_foreign(self, object_id: int) -> bool:
        """Tell whether an object of a medieval department is not Byzantine at all."""
        return self.class_of(object_id) == "byzantium" and self._holdings[object_id][0] % 7 == 0

    def department(self, object_id: int) -> int:
        """Return an object's department; half of the Byzantine objects are in the Cloisters."""
        number = _DEPARTMENTS[self.class_of(object_id)][0]
        return _CLOISTERS if number == 17 and self._holdings[object_id][0] % 2 else number

    def photographs(self, object_id: int) -> list[tuple[int, int]]:
        """Return (object, view) of each photograph: some have none, some share a neighbour's."""
        number, views = self._holdings[object_id]
        if not self.is_public(object_id) or number % 25 == 11:
            return []
        neighbour = views[0].object_index and self._neighbours[object_id]
        if number % 30 == 19 and neighbour:
            return self.photographs(neighbour)[:1]
        return [(object_id, record.view) for record in views]

    @cached_property
    def _neighbours(self) -> dict[int, int]:
        ids = list(self._holdings)
        return dict(zip(ids[1:], ids, strict=False))

    def met_record(self, object_id: int) -> dict[str, Any]:
        """Return an object's record as The Met's API gives it."""
        about = self._holdings[object_id][1][0]
        _, department, code, _ = _DEPARTMENTS[about.class_name]
        originals, small = (
            [
                f"{PUBLISHED}/images/CRDImages/{code}/{size}/{o}-{view}.jpg"
                for o, view in self.photographs(object_id)
            ]
            for size in ("original", "web-large")
        )
        return {
            "objectID": object_id,
            "accessionNumber": f"{object_id % 97}.{object_id}",
            "isPublicDomain": self.is_public(object_id),
            "primaryImage": originals[0] if originals else "",
            "primaryImageSmall": small[0] if small else "",
            "additionalImages": originals[1:],
            "constituents": None,
            "department": "The Cloisters" if self.department(object_id) == _CLOISTERS else department,
            "objectName": about.object_name,
            "title": about.title,
            "culture": "French" if self.is_foreign(object_id) else about.culture,
            "period": about.period,
            "objectDate": "",
            "objectBeginDate": about.begin_year,
            "objectEndDate": about.end_year,
            "country": "",
            "creditLine": about.credit,
            "metadataDate": f"{RECORDED}T00:00:00.0Z",
            "objectURL": f"{PUBLISHED}/art/collection/search/{object_id}",
            "tags": None,
        }

    def louvre_record(self, object_id: int) -> dict[str, Any]:
        """Return an object's record as the Louvre's site gives it."""
        about = self._holdings[object_id][1][0]
        dating = {"startYear": about.begin_year, "endYear": about.end_year, "text": about.period, "doubt": ""}
        return {
            "arkId": f"cl{object_id:09d}",
            "url": f"{PUBLISHED}/ark:/53355/cl{object_id:09d}",
            "modified ": RECORDED,
            "title": about.title,
            "dateCreated": [dating],
            "collection": f"Département des {_DEPARTMENTS[about.class_name][3]}",
            "objectType": "",
            "index": [],
            "image": [
                {
                    "urlImage": f"{PUBLISHED}/images/CRDImages/lv/web-large/{o}-{view}.jpg",
                    "copyright": f"© {about.credit}",
                    "type": "face, recto, avers, avant" if position == 0 else "trois quarts",
                    "position": position,
                }
                for position, (o, view) in enumerate(self.photographs(object_id))
            ],
        }

    def photograph(self, object_id: int, view: int, *, original: bool) -> bytes:
        """Return a photograph."""
        about = self._holdings[object_id][1][0]
        size = self.picture_size * (2 if original else 1)
        return self.painter(about.class_name, about.object_index, view, size, self.seed)
