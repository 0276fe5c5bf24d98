"""The API reference: what ``import heritage`` offers, and the classes that extensions derive from."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import heritage
from heritage.config.compose import groups
from heritage.core.files import config_dir
from website import options as read
from website.pages import Site

EXTENSION_POINTS = {
    "A loss, sampling or weighting": [
        "heritage.training.losses.ClassLoss",
        "heritage.data.sampling.Sampling",
    ],
    "A reader and a split": ["heritage.data.module.Reader", "heritage.core.manifest.Manifest"],
    "A museum": ["heritage.collection.sources.source.Source"],
    "A metric": ["heritage.metrics.registry.ConfusionMetric", "heritage.metrics.registry.ImageMetric"],
    "An export format": ["heritage.exporters.exporter.Exporter"],
}
"""Classes that CONTRIBUTING.md names, by what one adds."""


def write_api(site: Site) -> None:
    """Write the pages of the API."""
    public = {name: getattr(heritage, name) for name in heritage.__all__ if not name.startswith("_")}
    functions = [name for name, value in public.items() if inspect.isfunction(value)]
    errors = [n for n, v in public.items() if inspect.isclass(v) and issubclass(v, heritage.HeritageError)]
    classes = [name for name in public if name not in {*functions, *errors}]
    site.write("reference/api/functions.rst", _page("Functions", [_function(name) for name in functions]))
    site.write(
        "reference/api/classes.rst", _page("Classes", [_class(f"heritage.{name}") for name in classes])
    )
    site.write("reference/api/errors.rst", _page("Errors", _errors()))
    sections = [
        f"{title}\n{'-' * len(title)}\n\n" + "\n\n".join(map(_class, names))
        for title, names in EXTENSION_POINTS.items()
    ]
    site.write("reference/api/extending.rst", _page("Extension points", sections))
    site.write(
        "reference/api/parts.rst", _page("Parts named by configuration files", _parts(classes, public))
    )
    names = ["functions", "classes", "errors", "extending", "parts"]
    toctree = ".. toctree::\n   :maxdepth: 2\n\n" + "\n".join(f"   api/{name}" for name in names)
    text = "``import heritage`` takes milliseconds; everything below is loaded at its first use."
    site.write("reference/api.rst", _page("Python API", [text, toctree]))


def _page(title: str, parts: list[str]) -> str:
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *parts]) + "\n"


def _function(name: str) -> str:
    return f".. autofunction:: heritage.{name}"


def _class(name: str) -> str:
    return f".. autoclass:: {name}\n   :members:\n   :show-inheritance:"


def _errors() -> list[str]:
    """Return the description of the errors, their tree, and each of them."""
    description = ".. automodule:: heritage.errors\n   :no-members:"
    entries = [
        f".. autoexception:: {_home(kind)}\n   :members:" for kind, _ in derived(heritage.HeritageError)
    ]
    return [description, error_tree(heritage.HeritageError), *entries]


def error_tree(kind: type[Exception]) -> str:
    """Return an error and those derived from it as a nested list of links."""
    return "\n\n".join(f"{'  ' * depth}- :py:exc:`~{_home(one)}`" for one, depth in derived(kind))


def derived(kind: type[Exception], depth: int = 0) -> Iterator[tuple[type[Exception], int]]:
    """Return an error and those derived from it in its module, with their depth below it."""
    yield kind, depth
    for other in kind.__subclasses__():
        if other.__module__ == kind.__module__:
            yield from derived(other, depth + 1)


def _home(value: type) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _parts(classes: list[str], public: dict[str, type]) -> list[str]:
    """Return the functions and classes of all ``_target_`` keys that have no place yet."""
    done = {_home(public[name]) for name in classes} | {"heritage.data.ArtefactDataModule"}
    done |= {name for names in EXTENSION_POINTS.values() for name in names}
    parts = []
    for group in groups():
        for path in sorted((config_dir() / group).glob("*.yaml")):
            for target in _targets(read.load(path)):
                if target not in done:
                    done.add(target)
                    parts.append(_documented(target))
    return parts


def _targets(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [target for value in node.values() for target in _targets(value)]
    return [target for value in node for target in _targets(value)] if isinstance(node, list) else []


def _documented(target: str) -> str:
    from hydra.utils import get_object

    return (
        _class(target).replace(":members:", ":no-members:")
        if inspect.isclass(get_object(target))
        else (f".. autofunction:: {target}")
    )
