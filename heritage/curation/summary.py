"""What the command says when it is done."""

from __future__ import annotations

from pathlib import Path

from heritage.curation.curated import Curated
from heritage.manifest import SPLITS


def summary(curated: Curated, out: Path) -> str:
    """Return some lines: what came in, what is kept, what was dropped, and where to look."""
    kept = curated.kept
    splits = kept.column("split")
    lines = [
        f"{curated.table.num_rows:,} photographs in, {len(kept):,} kept in "
        f"{len(set(kept.column('group_id'))):,} groups: "
        + ", ".join(f"{splits.count(name):,} {name}" for name in SPLITS)
    ]
    lines += [f"  dropped: {count:,} {reason}" for reason, count in curated.reasons.items()]
    lines += [f"  note: {remark}" for remark in curated.remarks]
    lines += [f"  stale override of {file}: {why}" for file, why in curated.stale.items()]
    audit = curated.audit
    if audit.clean:
        lines.append(f"audit: no leak; {audit.compared:,} pairs of images compared")
    else:
        lines.append(
            f"audit: in several splits are {audit.groups:,} groups, {audit.objects:,} objects, "
            f"{audit.raw_files:,} files, {audit.near_duplicates:,} pairs of near-duplicates"
        )
    lines += [f"fingerprint: {kept.fingerprint}", f"report: {out / 'report.html'}"]
    return "\n".join(lines)
