"""Pages load nothing from other servers."""

from __future__ import annotations

from pathlib import Path

from website.offline import loaded_from_elsewhere


def test_fonts_scripts_and_images_of_other_servers_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<link rel="stylesheet" href="https://fonts.example/a.css"><script src="//cdn.example/b.js"></script>'
        '<img alt="x" src="http://example.org/c.png"><a href="https://example.org">a link is no load</a>'
        '<script src="_static/d.js"></script><link rel="canonical" href="https://example.org/a">'
    )
    (tmp_path / "s.css").write_text(
        "@import url('https://fonts.example/e.css'); a { background: url(f.png) }"
    )
    assert loaded_from_elsewhere(tmp_path) == [
        "a.html: //cdn.example/b.js",
        "a.html: http://example.org/c.png",
        "a.html: https://fonts.example/a.css",
        "s.css: https://fonts.example/e.css",
    ]
