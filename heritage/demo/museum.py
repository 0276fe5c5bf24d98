"""The demo museum: drawn artefacts, shown on loopback as The Met and the Louvre would.

It answers ``/public/collection/v1/objects…`` as The Met's API does, ``/sitemap.xml`` and ``/ark:/53355/…``
as the Louvre's site does, and serves the photographs with ETag and Range.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from heritage.demo.holdings import PUBLISHED, RECORDED, DemoCollection
from heritage.demo.server import Answering, Reply, Request, file_reply, json_reply

_ROBOTS = b"User-agent: *\nDisallow: /private/\n"


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
