"""The demo museum: an HTTP server on loopback that shows drawn artefacts as The Met and the Louvre would.

It answers ``/public/collection/v1/objects…`` as The Met's API does, ``/sitemap.xml`` and ``/ark:/53355/…``
as the Louvre's site does, and serves the photographs with ETag and Range. Its holdings have what real
ones have: works still under copyright, objects without a photograph, photographs shared by two objects,
objects of a department that belong to no class.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, KeysView
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from heritage import picture
from heritage.demo.artefact import draw_artefact
from heritage.demo.dataset import DemoRecord, demo_records

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
_ROBOTS = b"User-agent: *\nDisallow: /private/\n"


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


@dataclass(frozen=True)
class Request:
    """A request: its path is decoded, its header names are in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        raw: Writes the answer itself, well-formed or not, and closes the connection.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None


Answering = Callable[[Request], Reply]


def json_reply(value: Any, status: int = 200) -> Reply:
    """Answer with JSON."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status, body, {"Content-Type": "application/json; charset=UTF-8"})


def file_reply(request: Request, body: bytes, kind: str) -> Reply:
    """Answer with a file: 304 if it is known, 206 for a range of it, else all of it."""
    tag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    headers = {"Content-Type": kind, "ETag": tag, "Accept-Ranges": "bytes"}
    if request.headers.get("if-none-match") == tag:
        return Reply(304, b"", {"ETag": tag})
    wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if wanted and request.headers.get("if-range", tag) == tag:
        start = int(wanted[1])
        if start >= len(body):
            return Reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Reply(206, body[start:], headers)
    return Reply(200, body, headers)


def answering(held: DemoCollection) -> Answering:
    """Return the museum's way of answering."""
    routes: list[tuple[re.Pattern[str], Callable[[Request, re.Match[str]], Reply]]] = [
        (re.compile(r"/public/collection/v1/objects"), lambda r, _: _met_list(held, r)),
        (re.compile(r"/public/collection/v1/objects/(.+)"), lambda _, m: _met_object(held, m[1])),
        (re.compile(r"/images/CRDImages/\w+/(original|web-large)/(\d+)-(\d+)\.jpg"),
         lambda r, m: _photograph(held, r, m)),
        (re.compile(r"/ark:/53355/cl(\d{9})\.json"), lambda _, m: _louvre_object(held, int(m[1]))),
        (re.compile(r"/sitemap\.xml"), lambda _r, _m: _sitemap(held)),
        (re.compile(r"/robots\.txt"), lambda _r, _m: Reply(200, _ROBOTS, {"Content-Type": "text/plain"})),
    ]  # fmt: skip

    def answer(request: Request) -> Reply:
        for pattern, route in routes:
            if match := pattern.fullmatch(request.path):
                return route(request, match)
        return Reply(404, b"no such page", {"Content-Type": "text/plain"})

    return answer


def _met_list(held: DemoCollection, request: Request) -> Reply:
    wanted = {int(d) for d in request.query.get("departmentIds", "").split("|") if d.isdigit()}
    ids = [i for i in held.ids if not wanted or held.department(i) in wanted]
    if request.query.get("metadataDate", RECORDED) > RECORDED:
        ids = []
    return json_reply({"total": len(ids), "objectIDs": ids})


def _met_object(held: DemoCollection, said: str) -> Reply:
    if not said.isdigit():
        return json_reply({"message": "could not parse objectID"}, 400)
    if int(said) not in held.ids:
        return json_reply({"message": "ObjectID not found"}, 404)
    return json_reply(held.met_record(int(said)))


def _louvre_object(held: DemoCollection, number: int) -> Reply:
    if number not in held.ids:
        return Reply(404, b"", {"Content-Type": "text/html"})
    return json_reply(held.louvre_record(number))


def _sitemap(held: DemoCollection) -> Reply:
    # Each record is named once a language, as the Louvre's sitemap does.
    locations = "".join(
        f"<url><loc>{PUBLISHED}/{language}ark:/53355/cl{i:09d}</loc></url>"
        for i in held.ids
        for language in ("", "en/")
    )
    return Reply(200, f"<urlset>{locations}</urlset>".encode(), {"Content-Type": "application/xml"})


def _photograph(held: DemoCollection, request: Request, match: re.Match[str]) -> Reply:
    number, view = int(match[2]), int(match[3])
    if number not in held.ids:
        return Reply(404, b"", {"Content-Type": "text/html"})
    return file_reply(request, held.photograph(number, view, original=match[1] == "original"), "image/jpeg")


@contextlib.contextmanager
def serve(held: DemoCollection | Answering, *, port: int = 0) -> Iterator[str]:
    """Serve a museum from a thread of its own while the block runs.

    Args:
        held: What it holds, or its whole way of answering.
        port: Where on loopback; 0 takes a free one.

    Yields:
        Its base URL, ``http://127.0.0.1:40123``.
    """
    answer = answering(held) if isinstance(held, DemoCollection) else held
    loop = asyncio.new_event_loop()
    started: list[asyncio.Server] = []

    async def start() -> None:
        handle = lambda r, w: _converse(r, w, answer)  # noqa: E731
        started.append(await asyncio.start_server(handle, "127.0.0.1", port))

    loop.run_until_complete(start())
    address = started[0].sockets[0].getsockname()
    thread = threading.Thread(target=loop.run_forever, name="demo-museum", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{address[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_close(started[0]), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await server.wait_closed()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answering) -> None:
    """Answer a connection's requests one after the other."""
    with contextlib.suppress(
        ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError
    ):
        while True:
            request = _parse(await reader.readuntil(b"\r\n\r\n"))
            reply = answer(request)
            if reply.raw is not None:
                await reply.raw(writer)
                break
            writer.write(_head(reply) + reply.body)
            await writer.drain()
    writer.close()


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    target = urlsplit(first.split(" ")[1])
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(unquote(target.path), dict(parse_qsl(target.query)), headers)


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    headers = {"Content-Length": str(len(reply.body)), **reply.headers}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
