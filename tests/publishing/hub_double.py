"""A local double of the Hugging Face hub's HTTP API: repositories in memory, with faults on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "hf_secret_token_of_the_test"  # noqa: S105  of a double
_POINTER = 134  # bytes of an LFS pointer


@dataclass
class Repository:
    """A repository: branches, each a list of commits with all files."""

    private: bool
    branches: dict[str, list[tuple[str, dict[str, bytes]]]]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Return the commit that a branch or commit names, with its files."""
        if revision in self.branches:
            return self.branches[revision][-1]
        commits = [commit for branch in self.branches.values() for commit in branch]
        return next((commit for commit in commits if commit[0] == revision), None)


Fault = Callable[[Request], Response | None]


@dataclass
class HubDouble:
    """The double.

    Attributes:
        repositories: Repositories by kind and name, as in ``datasets/owner/name``.
        objects: Large files that were uploaded, by SHA-256.
        requests: Method and path of every request.
        fault: Called with every request; a response that it returns is sent in place of the true one.
        large: Suffixes that are stored as large files.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    fault: Fault | None = None
    large: tuple[str, ...] = (".safetensors", ".parquet", ".jpg", ".png")
    url: str = ""

    def fail(self, fragment: str, status: int, method: str | None = None) -> None:
        """Respond with a status to requests whose path has a fragment."""

        def fault(request: Request) -> Response | None:
            if fragment in request.url.path and method in (None, request.method):
                return JSONResponse(
                    {"error": f"fault {status}"}, status, {"X-Error-Message": f"fault {status}"}
                )
            return None

        self.fault = fault

    def commits(self, name: str, branch: str = "main") -> list[str]:
        """Return the commits of a branch, the oldest first."""
        return [commit for commit, _ in self.repositories[name].branches[branch]]

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        """Return the files of a branch."""
        return self.repositories[name].branches[branch][-1][1]

    def changing_requests(self) -> list[str]:
        """Return the requests that change a repository."""
        return [r for r in self.requests if r.startswith(("POST", "PUT")) and "preupload" not in r]

    def is_large(self, path: str) -> bool:
        return path.endswith(self.large)

    # What follows are the endpoints.

    async def create(self, request: Request) -> Response:
        asked = await request.json()
        name = f"{asked.get('type', 'model')}s/{asked['organization']}/{asked['name']}"
        if name in self.repositories:
            return JSONResponse({"error": "exists", "url": self.url}, 409)
        first = {".gitattributes": b"*.safetensors filter=lfs\n"}
        self.repositories[name] = Repository(
            asked.get("visibility") == "private", {"main": [(_commit_id(first, ""), first)]}
        )
        return JSONResponse({"url": f"{self.url}/{name}", "name": name, "id": "1"})

    async def info(self, request: Request) -> Response:
        found = self._repository(request)
        if found is None:
            return _missing("RepoNotFound")
        name, repository = found
        state = repository.at(request.path_params.get("revision", "main"))
        if state is None:
            return _missing("RevisionNotFound")
        commit, files = state
        siblings: list[dict[str, Any]] = []
        for path, content in files.items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": _git_id(content)}
            if self.is_large(path):
                sha = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": sha, "size": len(content), "pointerSize": _POINTER}
            siblings.append(entry)
        short = name.partition("/")[2]
        return JSONResponse(
            {
                "id": short,
                "_id": "1",
                "sha": commit,
                "private": repository.private,
                "siblings": siblings,
                "tags": [],
            }
        )

    async def preupload(self, request: Request) -> Response:
        asked = await request.json()
        found = self._repository(request)
        if found is None:
            return _missing("RepoNotFound")
        modes = [
            {
                "path": f["path"],
                "uploadMode": "lfs" if self.is_large(f["path"]) else "regular",
                "shouldIgnore": False,
            }
            for f in asked["files"]
        ]
        return JSONResponse({"files": modes})

    async def batch(self, request: Request) -> Response:
        asked = await request.json()
        objects = [
            entry
            if entry["oid"] in self.objects
            else {**entry, "actions": {"upload": {"href": f"{self.url}/lfs/{entry['oid']}"}}}
            for entry in asked["objects"]
        ]
        return JSONResponse({"objects": objects, "transfer": "basic"})

    async def put(self, request: Request) -> Response:
        content = await request.body()
        if hashlib.sha256(content).hexdigest() != request.path_params["oid"]:
            return Response(status_code=400)
        self.objects[request.path_params["oid"]] = content
        return Response(status_code=200)

    async def commit(self, request: Request) -> Response:
        found = self._repository(request)
        if found is None:
            return _missing("RepoNotFound")
        name, repository = found
        branch = repository.branches.get(request.path_params["revision"])
        if branch is None:
            return _missing("RevisionNotFound")
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        parent, files = branch[-1]
        if lines[0]["value"].get("parentCommit") not in (None, parent):
            return JSONResponse({"error": "the branch has moved"}, 412)
        files = dict(files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        commit = _commit_id(files, parent)
        branch.append((commit, files))
        return JSONResponse({"commitUrl": f"{self.url}/{name}/commit/{commit}", "commitOid": commit})

    async def branch(self, request: Request) -> Response:
        found = self._repository(request)
        if found is None:
            return _missing("RepoNotFound")
        branches = found[1].branches
        if request.path_params["revision"] in branches:
            return JSONResponse({"error": "exists"}, 409)
        branches[request.path_params["revision"]] = list(branches["main"])
        return JSONResponse({})

    async def validate(self, request: Request) -> Response:
        asked = await request.json()
        head = asked["content"].split("---\n")[1]
        errors = [] if "license" in head else [{"message": "no license"}]
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    async def tree(self, request: Request) -> Response:
        """Respond with the files and folders below a folder."""
        found = self._repository(request)
        state = None if found is None else found[1].at(request.path_params["revision"])
        if state is None:
            return _missing("RepoNotFound")
        folder = request.path_params.get("path", "")
        start = f"{folder}/" if folder else ""
        every = request.query_params.get("recursive", "false").lower() == "true"
        return JSONResponse(
            [
                entry
                for path, entry in self._entries(state[1]).items()
                if path.startswith(start) and (every or "/" not in path[len(start) :])
            ]
        )

    async def paths(self, request: Request) -> Response:
        """Respond with what some paths are."""
        found = self._repository(request)
        state = None if found is None else found[1].at(request.path_params["revision"])
        if state is None:
            return _missing("RepoNotFound")
        entries, wanted = self._entries(state[1]), (await request.form()).getlist("paths")
        if request.headers.get("content-type", "").startswith("application/json"):
            wanted = (await request.json())["paths"]
        return JSONResponse([entries[path] for path in wanted if path in entries])

    def _entries(self, files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
        folders = {path.rpartition("/")[0] for path in files if "/" in path}
        entries: dict[str, dict[str, Any]] = {
            folder: {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder} for folder in folders
        }
        for path, content in files.items():
            entries[path] = {"type": "file", "oid": _git_id(content), "size": len(content), "path": path}
            if self.is_large(path):
                entries[path]["lfs"] = {
                    "oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": _POINTER,
                }  # fmt: skip
        return entries

    async def resolve(self, request: Request) -> Response:
        found = self._repository(request, request.path_params.get("kind", "models"))
        if found is None:
            return _missing("RepoNotFound")
        state = found[1].at(request.path_params["revision"])
        if state is None:
            return _missing("RevisionNotFound")
        commit, files = state
        content = files.get(request.path_params["path"])
        if content is None:
            return _missing("EntryNotFound", {"X-Repo-Commit": commit})
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        headers["Content-Length"] = str(len(content))
        return Response(content if request.method == "GET" else b"", headers=headers)

    def _repository(self, request: Request, kind: str | None = None) -> tuple[str, Repository] | None:
        owner, repo = request.path_params["owner"], request.path_params["repo"]
        name = f"{kind or request.path_params['kind']}/{owner}/{repo}"
        repository = self.repositories.get(name)
        return None if repository is None else (name, repository)


def _missing(code: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": code}, 404, {"X-Error-Code": code, **(headers or {})})


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _commit_id(files: dict[str, bytes], parent: str) -> str:
    text = parent + "".join(f"{name} {_git_id(content)}\n" for name, content in sorted(files.items()))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class CutResponse(Response):
    """Sends a part of the announced body and closes the connection."""

    def __init__(self, sent: bytes, announced: int) -> None:
        super().__init__(sent)
        self.headers["content-length"] = str(announced)


@contextmanager
def serve_hub() -> Iterator[HubDouble]:
    """Serve a double on loopback while the block runs."""
    hub = HubDouble()

    async def dispatch(request: Request) -> Response:
        hub.requests.append(f"{request.method} {request.url.path}")
        hub.tokens.add(request.headers.get("authorization"))
        if hub.fault is not None and (response := hub.fault(request)) is not None:
            return response
        endpoint: Any = getattr(hub, request.scope["route"].name)
        response = await endpoint(request)
        if not isinstance(response, Response):
            raise TypeError(type(response).__name__)
        return response

    api = "/api/{kind}/{owner}/{repo}"
    paths = {
        "create": ["/api/repos/create"],
        "validate": ["/api/validate-yaml"],
        "preupload": [f"{api}/preupload/{{revision}}"],
        "commit": [f"{api}/commit/{{revision}}"],
        "branch": [f"{api}/branch/{{revision}}"],
        "info": [f"{api}/revision/{{revision}}", api],
        "put": ["/lfs/{oid}"],
        "batch": [
            "/{owner}/{repo}.git/info/lfs/objects/batch",
            "/{kind}/{owner}/{repo}.git/info/lfs/objects/batch",
        ],
        "tree": [f"{api}/tree/{{revision}}", f"{api}/tree/{{revision}}/{{path:path}}"],
        "paths": [f"{api}/paths-info/{{revision}}"],
        "resolve": [
            "/{kind}/{owner}/{repo}/resolve/{revision}/{path:path}",
            "/{owner}/{repo}/resolve/{revision}/{path:path}",
        ],
    }
    methods = ["GET", "HEAD", "POST", "PUT"]
    routes = [
        Route(path, dispatch, methods=methods, name=name)
        for name, patterns in paths.items()
        for path in patterns
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, ws="none", lifespan="off", log_config=None, log_level="critical"
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    hub.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield hub
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
