"""Write a report: pages, a feed and badges, each file whole, nothing that asks anything outside of them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ccci.errors import UsageError
from ccci.report.runs import RunView
from ccci.report.view import Board, RecipeView

FEED_ITEMS = 50
_OURS = re.compile(r"\d{8}t\d{6}-[0-9a-f]{6}\.html|[a-z0-9-]+\.svg")
_GLYPH = 6.6  # pixels that a character of a badge takes; the text is stretched to it, whatever the font


def write_site(board: Board, out: Path, *, address: str = "") -> list[Path]:
    """Write a report into a folder.

    Args:
        board: what it says.
        out: the folder; it is made. Pages and badges of a report before that are not part of this one go.
        address: where the folder will be served, for the feed's links; empty if that is not known.

    Returns:
        The files.

    Raises:
        UsageError: the folder cannot be written.
    """
    made = datetime.now(timezone.utc)
    texts = {"index.html": page("index.html.j2", made=made, root="", board=board)}
    texts |= {run.page: page("run.html.j2", made=made, root="../", run=run) for run in board.runs}
    texts |= {f"badges/{name}.svg": badge(recipe) for name, recipe in _badged(board).items()}
    texts["feed.json"] = json.dumps(feed(board, address), indent=2, ensure_ascii=False) + "\n"
    try:
        for name, text in texts.items():
            _write(out / name, text)
        for folder in ("runs", "badges"):
            for path in sorted((out / folder).glob("*")):
                if _OURS.fullmatch(path.name) and f"{folder}/{path.name}" not in texts:
                    path.unlink()
    except OSError as error:
        raise UsageError(
            f"the report cannot be written to {out}: {error}", hint="choose another folder: --out"
        ) from error
    return [out / name for name in texts]


def page(template: str, *, made: datetime, root: str, **values: Any) -> str:
    """Return a page; everything that a template is given is escaped."""
    made_said = made.strftime("%Y-%m-%d %H:%M")
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            root=root,
            made=made_said,
            made_stamp=made.isoformat(timespec="seconds"),
            policy=_policy(),
            style=_style(),
        )
    )


def _environment() -> Environment:
    # everything is escaped, whatever a template's name ends with; an unknown name is a fault, not an empty text
    return Environment(
        loader=PackageLoader("ccci.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _style() -> str:
    return _environment().get_template("style.css").render()


def _policy() -> str:
    """Return the page's content security policy: its own style sheet, by digest, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _badged(board: Board) -> dict[str, RecipeView]:
    """Return the recipe that each badge is about; of one on several hosts, the first that has a cold run."""
    found: dict[str, RecipeView] = {}
    for recipe in board.recipes:
        if recipe.name not in found or (found[recipe.name].cold is None and recipe.cold is not None):
            found[recipe.name] = recipe
    return {name: recipe for name, recipe in found.items() if _OURS.fullmatch(f"{name}.svg")}


def badge(recipe: RecipeView) -> str:
    """Return a recipe's badge: what the newest cold run of its releases said, and which version."""
    word = recipe.cold.mark.word if recipe.cold else "no result"
    version = recipe.known_good if word == "passed" and recipe.known_good else ""
    left, right = f"ccci {recipe.name}", f"{word} {version}".strip()
    widths = [round(len(text) * _GLYPH + 12) for text in (left, right)]
    kind = recipe.cold.mark.kind if recipe.cold else "none"
    return _environment().get_template("badge.svg.j2").render(left=left, right=right, widths=widths, kind=kind)


def feed(board: Board, address: str) -> dict[str, Any]:
    """Return the newest runs as a JSON Feed 1.1."""
    base = f"{address.rstrip('/')}/" if address else ""
    links = {"home_page_url": base, "feed_url": f"{base}feed.json"} if base else {}
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": f"ccci: {', '.join(host['name'] for host in board.hosts) or 'this machine'}",
        **links,
        "language": "en",
        "items": [_item(run, base) for run in board.runs[:FEED_ITEMS]],
    }


def _item(run: RunView, base: str) -> dict[str, Any]:
    lines = [f"{run.title} on {run.host}: {run.mark.word} after {run.took}", run.reason, run.hint]
    lines += [f"{part.name}: {part.mark.word} {part.took} {part.note}".rstrip() for part in run.stages]
    lines += [*run.notes, *run.log]
    return {
        "id": run.id,
        **({"url": f"{base}{run.page}"} if base else {}),
        "title": f"{run.title}: {run.mark.word}",
        "content_text": "\n".join(line for line in lines if line),
        "date_published": run.stamp,
        "tags": [tag for tag in (run.recipe, run.lane, run.mark.word, run.host) if tag],
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
