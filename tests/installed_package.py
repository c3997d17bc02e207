"""Packages as pip leaves them in a folder of site packages: modules, and a .dist-info with entry points."""

from collections.abc import Mapping
from pathlib import Path


def install_package(
    site: Path, name: str, files: Mapping[str, str], entry_points: Mapping[str, Mapping[str, str]]
) -> Path:
    """Write `files` (path: text) and what the package names under each group of entry points; returns `site`."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = (
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in entry_points.items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, "utf-8")
    return site
