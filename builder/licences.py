"""The licences of an image's weights: ``python -m builder.licences`` writes ``weights/licences/README.md``.

Licence texts from the repositories are stored next to it, fetched with the weights. Where a repository has none, this
file names the licence and where its text is published.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.models.weights.lock import DEFAULT_WEIGHTS, Source, files_of, read_lock

TEXTS = {
    "creativeml-openrail-m": "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
    "openrail++": "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
    "openrail": "https://huggingface.co/blog/open_rail",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "MIT": "https://opensource.org/license/mit",
    "AGPL-3.0": "https://www.gnu.org/licenses/agpl-3.0.html",
    "BSD-3-Clause": "https://opensource.org/license/bsd-3-clause",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
}
"""Where the text of each licence is published."""
_RULES = """Weights under an OpenRAIL licence may not be used to break the law, to harm or exploit people, to spread
false content or to discriminate: Attachment A of the licence lists what is forbidden. Who passes them on, or serves
them, has to pass these rules on as well, with the licence's text.
"""


def licence_page(sources: Sequence[Source], weights: Path) -> str:
    """Return a Markdown page of the sources whose files are in ``weights``."""
    lines = ["# Licences of the weights in this folder", "", _RULES, "| source | licence | text |", "|---|---|---|"]
    for source in sources:
        if not any((weights / file.name).exists() for file in source.files):
            continue
        own = [
            file.name for file in source.files if file.name.startswith("licences/") and (weights / file.name).exists()
        ]
        texts = ", ".join(name.removeprefix("licences/") for name in own) or text_of(source.licence)
        lines.append(f"| {source.title} | {source.licence} | {texts} |")
    return "\n".join(lines) + "\n"


def text_of(licence: str) -> str:
    """Return where a licence's text is published, by the first words of a source's licence."""
    return next(url for name, url in TEXTS.items() if licence.lower().startswith(name.lower()))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m builder.licences", description="Write an overview of the weights' licences beside the weights."
    )
    parser.add_argument("--weights", type=Path, help="folder of the weights (default: $UNDERSTUDY_WEIGHTS or weights/)")
    options = parser.parse_args(arguments)
    weights = options.weights or Path(os.environ.get("UNDERSTUDY_WEIGHTS") or DEFAULT_WEIGHTS)
    page = weights / "licences" / "README.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(licence_page(files_of(read_lock(), None), weights), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
