"""The demo museum's objects, with records in the formats of The Met and the Louvre.

They include the difficult cases of real museums: works under copyright, objects without a photograph,
photographs shared by two objects, and objects of a relevant department that belong to no class.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from heritage.core.image_io import encode_jpeg
from heritage.demo.dataset import DemoRecord, demo_records
from heritage.demo.drawing.artefact import draw_artefact

PUBLISHED = "http://museum.demo"
"""The base of the URLs in records; the host does not exist."""
RECORDED = "2026-01-01"
"""Date of the last change of all records."""
Renderer = Callable[[str, int, int, int, int], bytes]
"""(class, object index, view, side length, seed) → an encoded image."""
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


def render(class_name: str, index: int, view: int, size: int, seed: int) -> bytes:
    """Draw an artefact and encode it as JPEG."""
    return encode_jpeg(draw_artefact(class_name, index, view, size=size, seed=seed))


@dataclass(frozen=True)
class DemoCollection:
    """The objects of a demo museum.

    Attributes:
        images: Number of photographs; about three per object.
        picture_size: Side length of a photograph in pixels; originals have twice as many.
        seed: Seed of objects and images.
        renderer: Generates the images.
    """

    images: int
    picture_size: int
    seed: int
    renderer: Renderer = field(default=render)

    @cached_property
    def _objects(self) -> dict[int, tuple[int, list[DemoRecord]]]:
        """Object id → its position and its views."""
        views_of: dict[int, list[DemoRecord]] = {}
        for record in demo_records(images=self.images, seed=self.seed):
            views_of.setdefault(record.object_id, []).append(record)
        return {object_id: (number, views) for number, (object_id, views) in enumerate(views_of.items())}

    @property
    def ids(self) -> KeysView[int]:
        """The object ids."""
        return self._objects.keys()

    def class_of(self, object_id: int) -> str:
        """Return an object's class."""
        return self._objects[object_id][1][0].class_name

    def is_public(self, object_id: int) -> bool:
        """Return whether an object is in the public domain; one in twenty is not."""
        return self._objects[object_id][0] % 20 != 7

    def is_foreign(self, object_id: int) -> bool:
        """Return whether an object of a medieval department belongs to no class."""
        return self.class_of(object_id) == "byzantium" and self._objects[object_id][0] % 7 == 0

    def department(self, object_id: int) -> int:
        """Return the id of an object's department; half of the Byzantine objects are in The Cloisters."""
        number = _DEPARTMENTS[self.class_of(object_id)][0]
        return _CLOISTERS if number == 17 and self._objects[object_id][0] % 2 else number

    def photographs(self, object_id: int) -> list[tuple[int, int]]:
        """Return (object, view) of each photograph; some objects have none or share one with another."""
        number, views = self._objects[object_id]
        if not self.is_public(object_id) or number % 25 == 11:
            return []
        neighbour = views[0].object_index and self._neighbours[object_id]
        if number % 30 == 19 and neighbour:
            return self.photographs(neighbour)[:1]
        return [(object_id, record.view) for record in views]

    @cached_property
    def _neighbours(self) -> dict[int, int]:
        ids = list(self._objects)
        return dict(zip(ids[1:], ids, strict=False))

    def met_record(self, object_id: int) -> dict[str, Any]:
        """Return an object's record in the format of The Met's API."""
        first_view = self._objects[object_id][1][0]
        _, department, code, _ = _DEPARTMENTS[first_view.class_name]
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
            "objectName": first_view.object_name,
            "title": first_view.title,
            "culture": "French" if self.is_foreign(object_id) else first_view.culture,
            "period": first_view.period,
            "objectDate": "",
            "objectBeginDate": first_view.begin_year,
            "objectEndDate": first_view.end_year,
            "country": "",
            "creditLine": first_view.credit,
            "metadataDate": f"{RECORDED}T00:00:00.0Z",
            "objectURL": f"{PUBLISHED}/art/collection/search/{object_id}",
            "tags": None,
        }

    def louvre_record(self, object_id: int) -> dict[str, Any]:
        """Return an object's record in the format of the Louvre's site."""
        first_view = self._objects[object_id][1][0]
        dating = {
            "startYear": first_view.begin_year,
            "endYear": first_view.end_year,
            "text": first_view.period,
            "doubt": "",
        }
        return {
            "arkId": f"cl{object_id:09d}",
            "url": f"{PUBLISHED}/ark:/53355/cl{object_id:09d}",
            "modified ": RECORDED,
            "title": first_view.title,
            "dateCreated": [dating],
            "collection": f"Département des {_DEPARTMENTS[first_view.class_name][3]}",
            "objectType": "",
            "index": [],
            "image": [
                {
                    "urlImage": f"{PUBLISHED}/images/CRDImages/lv/web-large/{o}-{view}.jpg",
                    "copyright": f"© {first_view.credit}",
                    "type": "face, recto, avers, avant" if position == 0 else "trois quarts",
                    "position": position,
                }
                for position, (o, view) in enumerate(self.photographs(object_id))
            ],
        }

    def photograph(self, object_id: int, view: int, *, original: bool) -> bytes:
        """Return an encoded photograph."""
        first_view = self._objects[object_id][1][0]
        size = self.picture_size * (2 if original else 1)
        return self.renderer(first_view.class_name, first_view.object_index, view, size, self.seed)
