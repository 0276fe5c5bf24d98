"""The hub fails: each fault is one line and exit code 2, and the same command continues."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from heritage.core.hub_client import require_endpoint
from heritage.errors import ConfigError, PublishError
from heritage.publishing.publication import Publication, PublishedFile
from heritage.publishing.upload import upload
from tests.conftest import Command
from tests.publishing.hub_double import TOKEN, CutResponse, HubDouble, Repository

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "datasets/museum/vases"


def publication(folder: Path, **files: str) -> Publication:
    """Return a publication of a card and some JSON files."""
    folder.mkdir(exist_ok=True)
    named = {"README.md": "---\nlicense: cc0-1.0\n---\n# x\n", "train.parquet": "table"}
    named |= {f"{name}.json": text for name, text in files.items()}
    for name, text in named.items():
        (folder / name).write_text(text)
    published = tuple(PublishedFile(name, folder / name) for name in named)
    return Publication("dataset", "vases", "Vases.", None, published, {})


def send(what: Publication, *, overwrite: bool = False, private: bool = True) -> int:
    return upload(what, "museum/vases", private=private, overwrite=overwrite).changed


@pytest.mark.parametrize(
    ("fragment", "status", "words"),
    [
        ("/api/datasets/", 401, "the hub does not accept the token"),
        ("/api/datasets/", 403, "does not allow this to the token"),
        ("repos/create", 403, "does not allow this to the token"),
        ("preupload", 404, "no such repository"),
        ("preupload", 429, "limits the rate of requests"),
        ("/batch", 500, "the hub fails (status 500"),
        ("/lfs/", 503, "the hub fails (status 503"),
        ("/commit/", 409, "reports a conflict"),
        ("/commit/", 412, "reports a conflict"),
        ("/commit/", 500, "the hub fails (status 500"),
        ("validate-yaml", 400, "refuses the request"),
    ],
)
def test_faults_of_the_hub_are_one_line_and_the_same_call_continues(
    hub: HubDouble, tmp_path: Path, fragment: str, status: int, words: str
) -> None:
    what = publication(tmp_path / "set", dataset="{}")
    hub.fail(fragment, status)
    with pytest.raises(PublishError) as caught:
        send(what)
    message = str(caught.value)
    assert words in message
    assert message.startswith("repo=museum/vases: ")
    assert "\n" not in message
    assert TOKEN not in message
    if NAME in hub.repositories:
        assert len(hub.commits(NAME)) == 1  # nothing is half published
    hub.fault = None
    assert send(what) == 3
    assert set(hub.files(NAME)) == {".gitattributes", "README.md", "train.parquet", "dataset.json"}


def test_the_command_prints_the_line_and_exits_with_2(
    heritage: Command, hub: HubDouble, dataset: Path
) -> None:
    hub.fail("/commit/", 500)
    done = heritage("publish", f"data={dataset}", "repo=museum/vases")
    assert done.code == 2
    lines = [line for line in done.err.splitlines() if line.startswith("heritage publish: ")]
    assert len(lines) == 1
    assert "status 500" in lines[0]
    assert "Traceback" not in done.err
    hub.fault = None
    hub.requests.clear()
    assert heritage("publish", f"data={dataset}", "repo=museum/vases").code == 0
    assert not [
        request for request in hub.requests if request.startswith("PUT")
    ]  # what arrived is not sent again


def test_a_cut_connection_is_one_line(hub: HubDouble, tmp_path: Path) -> None:
    what = publication(tmp_path / "set")
    hub.fault = lambda request: CutResponse(b"{", 1000) if "preupload" in request.url.path else None
    with pytest.raises(PublishError, match="the hub cannot be reached"):
        send(what)
    hub.fault = lambda request: Response("<html>", 200) if "preupload" in request.url.path else None
    with pytest.raises(PublishError, match="the hub's response cannot be used"):
        send(what)
    hub.fault = lambda request: Response('{"files": 3}', 200) if "preupload" in request.url.path else None
    with pytest.raises(PublishError, match="the hub's response cannot be used"):
        send(what)


def test_a_hub_that_prints_the_token_does_not_show_it(hub: HubDouble, tmp_path: Path) -> None:
    def fault(request: Request) -> Response | None:
        if "preupload" not in request.url.path:
            return None
        return Response("{}", 400, {"X-Error-Message": f"bad token {TOKEN} \x1b[2J"})

    hub.fault = fault
    with pytest.raises(PublishError) as caught:
        send(publication(tmp_path / "set"))
    assert TOKEN not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_ctrl_c_leaves_nothing_half_published_and_continues(
    heritage: Command, hub: HubDouble, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    original = HfApi.create_commit

    def interrupted(*args: object, **options: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(HfApi, "create_commit", interrupted)
    done = heritage("publish", f"data={dataset}", "repo=museum/vases")
    assert done.code == 2
    assert "stopped by Ctrl-C" in done.err
    assert "Traceback" not in done.err
    assert len(hub.commits(NAME)) == 1
    monkeypatch.setattr(HfApi, "create_commit", original)
    assert heritage("publish", f"data={dataset}", "repo=museum/vases").code == 0
    assert len(hub.commits(NAME)) == 2


def test_other_content_is_replaced_only_if_wanted_and_stays_in_the_history(
    hub: HubDouble, tmp_path: Path
) -> None:
    assert send(publication(tmp_path / "a", dataset="1", old="x")) == 4
    with pytest.raises(PublishError, match=r"has other content \(old\.json, dataset\.json\)"):
        send(publication(tmp_path / "b", dataset="2"))
    assert send(publication(tmp_path / "b", dataset="2"), overwrite=True) == 2
    assert set(hub.files(NAME)) == {".gitattributes", "README.md", "train.parquet", "dataset.json"}
    assert "old.json" in hub.repositories[NAME].branches["main"][1][1]


def test_an_interrupted_upload_of_several_commits_continues(
    hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heritage.publishing.upload._PER_COMMIT", 2)
    what = publication(tmp_path / "a", one="1", two="2", dataset="3")
    count = threading.Event()

    def second_fails(request: Request) -> Response | None:
        if "/commit/" not in request.url.path:
            return None
        if count.is_set():
            return Response("{}", 500)
        count.set()
        return None

    hub.fault = second_fails
    with pytest.raises(PublishError):
        send(what)
    assert "dataset.json" not in hub.files(NAME)  # not yet a data set
    hub.fault = None
    assert send(what) == 3
    assert set(hub.files(NAME)) == {f.name for f in what.files} | {".gitattributes"}


def test_a_public_repository_is_not_taken_for_a_private_one(hub: HubDouble, tmp_path: Path) -> None:
    hub.repositories[NAME] = Repository(False, {"main": [("a" * 40, {})]})
    what = publication(tmp_path / "a")
    with pytest.raises(PublishError, match="the repository is public; private=false publishes into it"):
        send(what)
    assert send(what, private=False) == 2


def test_without_a_token_nothing_is_sent(
    hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(PublishError, match="there is no token for the hub; log in with `hf auth login`"):
        send(publication(tmp_path / "a"))
    assert hub.requests == []


@pytest.mark.parametrize(
    "endpoint", ["http://hub.example", "ftp://hub.example", "hub.example", "https://user:pw@hub.example", ""]
)
def test_a_token_is_never_sent_in_the_clear(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="the token would be sent in the clear"):
        require_endpoint(endpoint)
    require_endpoint("https://hub.example")
    require_endpoint("http://127.0.0.1:8000")


def test_files_with_code_are_not_published(tmp_path: Path) -> None:
    for name in ("weights.bin", "best.ckpt", "load.py", "page.html", "x.pkl", "noextension"):
        (tmp_path / name).write_text("x")
        with pytest.raises(PublishError, match="not a kind of file that is published"):
            Publication("model", "x", "x", None, (PublishedFile(name, tmp_path / name),), {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "publishes a network or a data set; give ckpt=<run folder>, or data=<data-set folder>"),
        (("ckpt=a", "data=b", "repo=a/b"), "publishes a network or a data set"),
        (("ckpt=a",), "there is no place to publish to"),
        (("ckpt=a", "repo=vases"), "repo=vases: not the name of a repository"),
        (("ckpt=a", "repo=a/b", "revision=a b"), "revision=a b: not a branch"),
        (("ckpt=a", "archive=a.tar"), "archive=a.tar: not a .zip"),
        (("ckpt=a", "archive=a.zip"), "Zenodo requires the names of the creators"),
        (("ckpt=a", "repo=a/b", "endpoint=http://hub.example"), "in the clear"),
        (("ckpt=a", "repo=a/b", "refused=maybe"), "refused=maybe"),
        (("ckpt=a", "repo=a/b"), "no such checkpoint"),
        (("data=a", "repo=a/b"), "no such folder"),
    ],
)
def test_wrong_options_are_one_line(heritage: Command, words: tuple[str, ...], message: str) -> None:
    done = heritage("publish", *words)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1
