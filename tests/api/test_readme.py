"""README's Python runs as it is written, on a small data set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heritage.core.files import PACKAGE
from heritage.core.image_io import encode_jpeg
from tests.conftest import TINY, patch

README = PACKAGE.parent / "README.md"


def snippet() -> str:
    """The Python block of README."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


@pytest.mark.parametrize("model", ["resnet10t", pytest.param("vit", marks=pytest.mark.slow)])
def test_the_snippet_runs(
    model: str,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photograph.jpg").write_bytes(encode_jpeg(patch(0, 1)))
    small = [*TINY, f"data.root={tree}"]
    code = snippet().replace('"train", model="resnet10t"', f'"train", *{small}, model="{model}"')
    code = code.replace('["model=vit"]', f'["model={model}", *{small}]')
    assert code.count(str(tree)) == 2
    names: dict[str, object] = {}
    exec(compile(code, str(README), "exec"), names)  # noqa: S102  our own README
    assert "report.md" in capsys.readouterr().out
    assert names["prediction"].label in heritage_classes(names)  # type: ignore[attr-defined]


def heritage_classes(names: dict[str, object]) -> tuple[str, ...]:
    """The classes of the predictor that the snippet loaded."""
    classes: tuple[str, ...] = names["predictor"].classes  # type: ignore[attr-defined]
    return classes


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_readme_links_to_files_that_exist() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
