"""Hook of mkdocs: links to files of the repository outside docs/, which the site does not have.

Those of `SHOWN` become files of the site under ``repository/``; links to any other file, such as a module, lose their
target.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
SHOWN = {
    "benchmarks/results/README.md",
    "benchmarks/results/figures/views.png",
    "benchmarks/results/figures/demo.png",
    "recon/networks/shipped/crystal.md",
    "recon/networks/shipped/shape.md",
    "CONTRIBUTING.md",
    "docs/read_model.py",
}
"""Files of the repository that become files of the site."""
LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>[^)#\s]+)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the files of the repository that pages link to."""
    for name in sorted(SHOWN):
        files.append(File.generated(config, f"repository/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Direct links that leave docs/ to the copies in the site."""
    inside = page.file.src_uri.removeprefix("repository/")
    place = posixpath.dirname(inside if inside != page.file.src_uri else f"docs/{inside}")

    def redirect(match: re.Match[str]) -> str:
        if "://" in match["target"]:
            return match[0]
        path = posixpath.normpath(posixpath.join(place, match["target"]))
        if path.startswith("docs/") and not path.endswith(".py"):
            target = path.removeprefix("docs/")
        elif path in SHOWN:
            target = f"repository/{path}"
        else:
            return match["text"].strip("![]")
        relative = posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or ".")
        return f"{match['text']}({relative}{match['anchor'] or ''})"

    return LINK.sub(redirect, markdown)
