"""`heritage publish`: prepare a publication, then list it, upload it or write its archive."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from heritage.core.terminal import print_line
from heritage.errors import ConfigError
from heritage.publishing.archive import metadata, write_archive
from heritage.publishing.options import PublishOptions
from heritage.publishing.publication import Publication, count_of, readable_size
from heritage.publishing.upload import require_token, upload


@dataclass(frozen=True)
class PublishResult:
    """The result of `publish`.

    Attributes:
        url: The repository's page; None without an upload.
        commit: The repository's commit; None without an upload.
        archive: The archive; None without one.
        files: Bytes of each published file, by name.
    """

    url: str | None
    commit: str | None
    archive: Path | None
    files: dict[str, int]


def publish(options: PublishOptions) -> PublishResult:
    """Publish a network or a data set.

    Raises:
        HeritageError: The options, the files, a licence or the hub stop it; nothing is half published.
    """
    options.check()
    _require_place(options)
    with tempfile.TemporaryDirectory(prefix="heritage-publish-") as scratch:
        publication = _prepared(options, Path(scratch))
        _show(publication, options)
        files = {file.name: file.size for file in publication.files}
        if options.plan:
            print_line("plan=true: nothing was sent or written")
            return PublishResult(None, None, None, files)
        archive = _archived(publication, options)
        if options.repo is None:
            return PublishResult(None, None, archive, files)
        done = upload(
            publication,
            options.repo,
            private=options.private,
            revision=options.revision,
            overwrite=options.overwrite,
            endpoint=options.endpoint,
        )
        if done.changed:
            print_line(
                f"published: {done.url} (commit {done.commit}, {count_of(done.changed, 'file')} changed)"
            )
        else:
            print_line(f"unchanged: {done.url} has this content already (commit {done.commit})")
        return PublishResult(done.url, done.commit, archive, files)


def _require_place(options: PublishOptions) -> None:
    """Check, before anything is prepared, that an archive can be written and a token exists."""
    if options.archive is not None:
        target, where = Path(options.archive).expanduser().absolute(), f"archive={options.archive}"
        if not target.parent.is_dir():
            raise ConfigError("its folder does not exist", where=where, remedy="create the folder first")
        if target.is_dir():
            raise ConfigError("a folder", where=where, remedy="give the name of a new file")
        source = options.root or (Path(options.ckpt).expanduser() if options.ckpt else None)
        if source is not None and source.resolve() in target.resolve().parents:
            raise ConfigError(
                "inside the folder that is published", where=where, remedy="give a place outside it"
            )
    if options.repo is not None and not options.plan:
        require_token(options.repo)


def _prepared(options: PublishOptions, scratch: Path) -> Publication:
    if options.ckpt is not None:
        from heritage.publishing.network import network_publication

        return network_publication(options, scratch)
    from heritage.publishing.photographs import dataset_publication

    return dataset_publication(options, scratch)


def _show(publication: Publication, options: PublishOptions) -> None:
    """Print what is published, where, and under which licences."""
    what = "data set" if publication.kind == "dataset" else "network"
    count = count_of(len(publication.files), "file")
    print_line(f"{publication.title} ({what}): {count}, {readable_size(publication.size)}")
    for line in publication.listing():
        print_line(line)
    if publication.licences:
        counts = ", ".join(f"{name} ({count:,})" for name, count in publication.licences.items())
        print_line(f"licences of the photographs: {counts}")
    else:
        print_line(f"licence of the weights: {publication.licence or 'none'}")
    for note in publication.notes:
        print_line(f"Note: {note}")
    if options.repo is not None:
        who = "private, seen by its owner only" if options.private else "public"
        branch = "" if options.revision is None else f", branch {options.revision}"
        print_line(f"repository: {options.repo} ({who}{branch})")
    if options.archive is not None:
        print_line(f"archive: {options.archive}, with {', '.join(metadata(publication, options.citation))}")


def _archived(publication: Publication, options: PublishOptions) -> Path | None:
    if options.archive is None:
        return None
    target = Path(options.archive).expanduser()
    written = write_archive(publication, target, options.citation, overwrite=options.overwrite)
    print_line(f"{'archived' if written else 'unchanged'}: {target} ({readable_size(target.stat().st_size)})")
    return target
