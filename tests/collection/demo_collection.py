"""The collection of the demo museum used by most tests, and the expected result of collecting it."""

from __future__ import annotations

import re
from pathlib import Path

from heritage.demo.collection import DemoCollection
from tests.collection.faults import FaultyMuseum, tiny_renderer

COLLECTION = DemoCollection(images=480, picture_size=64, seed=3, renderer=tiny_renderer)
API = "/public/collection/v1/objects"


def expected() -> dict[str, str]:
    """Return object id → class of all objects that must end with their own photograph."""
    return {
        str(i): COLLECTION.class_of(i)
        for i in COLLECTION.ids
        if COLLECTION.photographs(i) and COLLECTION.photographs(i)[0][0] == i and not COLLECTION.is_foreign(i)
    }


def owner_of(object_id: str) -> str:
    """Return the object whose photograph an object shows."""
    return str(COLLECTION.photographs(int(object_id))[0][0])


def picture_path(object_id: int | str) -> str:
    (url,) = [COLLECTION.met_record(int(object_id))["primaryImageSmall"]]
    return str(url).removeprefix("http://museum.demo")


def objects_of(name: str) -> list[str]:
    """Return the objects of a class with their own photographs; those shared by others are last."""
    shared = {
        owner_of(str(i)) for i in COLLECTION.ids if COLLECTION.photographs(i) and owner_of(str(i)) != str(i)
    }
    return sorted((i for i, c in expected().items() if c == name), key=lambda i: (i in shared, i))


def names(folder: Path) -> set[str]:
    """Return the file names with the id of the photographed object, not of an object that shares it."""
    stored_names = set()
    for path in (folder / "images").iterdir():
        class_id, museum, unique = path.name.split("_")
        object_id = re.split(r"[-.]", unique)[0]
        stored_names.add(f"{class_id}_{museum}_{unique.replace(object_id, owner_of(object_id))}")
    return stored_names


def assert_no_repeated_request(museum: FaultyMuseum) -> None:
    assert {path: n for path, n in museum.requested.items() if n > 1 and path != API} == {}
