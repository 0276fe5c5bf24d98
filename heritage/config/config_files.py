"""Check the configuration files that a command line chooses, and report all faults of a file at once.

Hydra stops at the first key of a file that a schema does not know, and names the wrong file for some faults.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from heritage.config.compose import ADDED, COMPOSITION_ERRORS, compose_command, groups_of, keys_of
from heritage.config.faults import FaultyConfigError, did_you_mean
from heritage.config.validate import validate
from heritage.core.files import config_dir

_OVERRIDE = "override "


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file.

    Attributes:
        path: The file.
        name: Its name below its folder of configuration files: ``experiment/mine.yaml``.
        package: The key that its content belongs to; empty for the top level.
    """

    path: Path
    name: str
    package: str

    def __str__(self) -> str:
        with contextlib.suppress(ValueError):
            return str(self.path.relative_to(Path.cwd()))
        return str(self.path)

    @cached_property
    def text(self) -> str:
        """The text; bytes that are not UTF-8 are replaced."""
        return self.path.read_text(encoding="utf-8", errors="replace")

    @cached_property
    def content(self) -> dict[str, Any]:
        """The keys and values; empty if the file cannot be read as such."""
        with contextlib.suppress(yaml.YAMLError):
            content = yaml.safe_load(self.text)
            return {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}
        return {}

    @property
    def defaults(self) -> list[tuple[str, Any]]:
        """The entries of the defaults list: group → option; a plain entry has an empty group."""
        entries = self.content.get("defaults") or []
        pairs: list[tuple[str, Any]] = []
        for entry in entries if isinstance(entries, list) else []:
            pairs += [(str(key), value) for key, value in entry.items()] if isinstance(entry, dict) else []
            pairs += [("", entry)] if isinstance(entry, str) else []
        return pairs

    def sets(self, key: str) -> bool:
        """Return whether the file sets a key of the configuration."""
        node: Any = self.content
        inner = key.removeprefix(f"{self.package}.") if self.package else key
        if self.package and inner == key:
            return False
        for part in inner.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return False
            node = node[part]
        return True

    def place(self, key: str) -> str:
        """Return the file and the line of a key."""
        node = yaml.compose(self.text)
        line = None
        for part in key.removeprefix(f"{self.package}.").split("."):
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            found = next((pair for pair in pairs if pair[0].value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        return str(self) if line is None else f"{self} line {line}"

    def damage(self) -> str | None:
        """Return why the file cannot be read, in one line; None if it can."""
        try:
            content = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as fault:
            line = self.path.read_bytes()[: fault.start].count(b"\n") + 1
            return f"{self} line {line}: not UTF-8; save the file as UTF-8"
        except yaml.YAMLError as fault:
            return explain_yaml_error(fault, str(self))
        if content is None or isinstance(content, dict):
            return None
        kind = "a list" if isinstance(content, list) else "a single value"
        return f"{self}: the file holds {kind}; write keys and values, such as seed: 3"


def explain_yaml_error(fault: yaml.YAMLError, file: str | None = None) -> str:
    """Return a syntax error of a YAML file in one line, with file, line and column."""
    mark = getattr(fault, "problem_mark", None) or getattr(fault, "context_mark", None)
    problem = getattr(fault, "problem", None) or getattr(fault, "reason", None) or "not valid YAML"
    name = file or (mark.name if mark is not None else getattr(fault, "name", "a configuration file"))
    place = f"{name} line {mark.line + 1}, column {mark.column + 1}" if mark is not None else name
    if "duplicate key" in problem:
        remedy = "remove one of the two"
    elif "\\t" in problem or "\t" in problem:
        remedy = "indent with blanks instead of tabs"
    else:
        remedy = "correct the YAML there or in the lines before"
    return f"{place}: {' '.join(problem.split())}; {remedy}"


def search_folders(overrides: Sequence[str]) -> list[Path]:
    """Return the folders of configuration files: ours, then those of ``hydra.searchpath``."""
    folders = [config_dir()]
    for word in overrides:
        if word.startswith("hydra.searchpath="):
            with contextlib.suppress(HydraException):
                value = OverridesParser.create().parse_override(word).value()
                folders += [Path(str(one).removeprefix("file://")) for one in value or []]  # type: ignore[union-attr]
    return folders


def chosen_files(overrides: Sequence[str]) -> list[ConfigFile]:
    """Return the files that overrides choose, each after the files of its defaults list."""
    folders = search_folders(overrides)
    found: dict[Path, ConfigFile] = {}

    def visit(group: str, option: str, package: str) -> None:
        name = f"{group}/{option}.yaml".replace("//", "/").lstrip("/")
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is None or path in found:
            return
        file = ConfigFile(path, name, package)
        for key, value in file.defaults:
            if not key and value != "_self_":
                base = str(value)
                visit("" if base.startswith("/") else name.rpartition("/")[0], base, package)
        found[path] = file

    for word in overrides:
        key, equals, _ = word.lstrip("+").partition("=")
        group, _, package = key.partition("@")
        if not equals or not any((folder / group).is_dir() for folder in folders):
            continue
        for option in _options(word):
            visit(group, option, "" if group in ADDED else package or group.replace("/", "."))
    return list(found.values())


def file_faults(verb: str, overrides: Sequence[str]) -> list[str]:
    """Return the faults of the files that overrides choose: what Hydra stops at, and all others with it."""
    files = chosen_files(overrides)
    if damaged := [fault for file in files if (fault := file.damage()) is not None]:
        return damaged
    base = _composed(verb, _without_files(overrides)) or _composed(verb, [])
    if base is None:
        return []
    unknown = {file: list(_unknown_keys(file.content, base, "")) for file in files if not file.package}
    faults = [
        f"{file.place(key)}: {_explain(verb, base, key)}" for file, keys in unknown.items() for key in keys
    ]
    faults += [fault for file in files for fault in _unknown_groups(verb, file, base)]
    if not any(unknown.values()):
        return faults
    return faults + _other_faults(verb, overrides, {file: keys for file, keys in unknown.items() if keys})


def with_files(faults: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Return faults with the user's file in front that sets the key, if the command line does not."""
    given = {word.lstrip("+").partition("=")[0] for word in overrides}
    files = [
        file
        for file in reversed(chosen_files(overrides))
        if not file.path.is_relative_to(config_dir()) and file.damage() is None
    ]
    named = []
    for fault in faults:
        key = fault.partition("=")[0].partition(":")[0].partition(" ")[0]
        file = next((file for file in files if key not in given and file.sets(key)), None)
        named.append(fault if file is None else f"{file.place(key)}: {fault}")
    return named


def _options(word: str) -> list[str]:
    try:
        value = OverridesParser.create().parse_override(word).value()
    except HydraException:
        return []
    return [str(one) for one in (value if isinstance(value, list) else [value])]


def _without_files(overrides: Sequence[str]) -> list[str]:
    return [word for word in overrides if word.lstrip("+").partition("=")[0] not in ADDED]


def _composed(verb: str, overrides: Sequence[str]) -> DictConfig | None:
    try:
        return compose_command(verb, overrides)
    except COMPOSITION_ERRORS:
        return None


def _unknown_keys(content: Any, node: Any, above: str) -> Iterator[str]:
    """Yield the keys that a schema does not know; the content of a group has none."""
    if not isinstance(content, Mapping) or not isinstance(node, DictConfig):
        return
    for key, value in content.items():
        path = f"{above}.{key}" if above else str(key)
        if path == "defaults":
            continue
        if key not in node.keys():  # noqa: SIM118  `in node` is false for ???
            if OmegaConf.get_type(node) is not dict:
                yield path
        elif not OmegaConf.is_missing(node, key):
            yield from _unknown_keys(value, _child(node, key), path)


def _child(node: DictConfig, key: str) -> Any:
    with contextlib.suppress(OmegaConfBaseException):
        return node[key]
    return None


def _explain(verb: str, cfg: DictConfig, key: str) -> str:
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    known = [str(name) for name in node if name != "hydra"]
    place, elsewhere = (f"'{parent}'", []) if parent else (verb, keys_of(cfg))
    return f"{key}: {place} has no such key; {did_you_mean(leaf, known, elsewhere)}"


def _unknown_groups(verb: str, file: ConfigFile, cfg: DictConfig) -> Iterator[str]:
    known = groups_of(verb, cfg)
    for key, value in file.defaults:
        group = key.removeprefix(_OVERRIDE).strip().lstrip("/").partition("@")[0]
        if key.startswith(_OVERRIDE) and group not in known and group.partition("/")[0] != "hydra":
            hint = did_you_mean(group, known)
            yield f"{file.place('defaults')}: {key}: {value}: there is no such group; {hint}"


def _other_faults(
    verb: str, overrides: Sequence[str], unknown: Mapping[ConfigFile, Sequence[str]]
) -> list[str]:
    """Return the faults that remain without the unknown keys: files without them stand in for the files."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(config_dir() / f"{verb}.yaml", folder)  # Hydra looks for it in the first folder only
        for file, keys in unknown.items():
            content = OmegaConf.create(yaml.safe_load(file.text))
            for key in keys:
                parent, _, leaf = key.rpartition(".")
                del (OmegaConf.select(content, parent) if parent else content)[leaf]
            copy = Path(folder) / file.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(f"# @package _global_\n{OmegaConf.to_yaml(content)}", encoding="utf-8")
        words = [word for word in overrides if not word.startswith("hydra.searchpath=")]
        try:
            cfg = compose_command(verb, words, folders=[Path(folder), *search_folders(overrides)])
            _validate(cfg, verb)
        except FaultyConfigError as fault:
            return with_files(fault.faults, overrides)
        except COMPOSITION_ERRORS:
            return []
    return []


def _validate(cfg: DictConfig, verb: str) -> None:
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.cfg = None
    try:
        with open_dict(cfg):
            cfg.hydra.runtime.output_dir = "."
        instance.set_config(cfg)
        with open_dict(cfg):
            del cfg["hydra"]
        validate(cfg, verb)
    finally:
        instance.cfg = before
