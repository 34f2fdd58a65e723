"""Two labs that share the night, with recipes of which each host has some; and the truth about their nights."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import attrs

from ccci.model.night import host_of
from tests.support.crash import bring_up
from tests.support.recipe import LabRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.host import LabHost
    from tests.support.running import Done, Running

NIGHTS = "/var/lib/ci-warm/nights"
ALERTS = "/var/lib/ci-warm/alerts"


@attrs.frozen
class Pair:
    """Two labs of one group.

    Attributes:
        left: one of them, which tests `good` and `bad`.
        right: the other one, which tests `other`.
        good, bad, other: recipes; their enrolments are in one folder.
    """

    left: LabHost
    right: LabHost
    good: LabRecipe
    bad: LabRecipe
    other: LabRecipe

    def start(self, *words: str, env: Mapping[str, str] | None = None, host: LabHost | None = None) -> Running:
        """Start `ccci` with these words on the group, or on one of its hosts."""
        result = self.left.folder / f"{uuid.uuid4().hex}.json"
        more = [*(["--host", host.name] if host else []), *(["--result", str(result)] if words[0] == "play" else [])]
        # two hosts work at once, each two recipes: the enrolments' own 30 s are for one at a time
        ours = {"CCCI_RECIPES": str(self.good.enrolments), "CCCI_GATE_TIMEOUT": "120", **(env or {})}
        return self.left.start("ccci", *words, *more, env=ours, result=result)

    def ccci(self, *words: str, env: Mapping[str, str] | None = None, host: LabHost | None = None) -> Done:
        """Run `ccci` with these words to its end."""
        return self.start(*words, env=env, host=host).finish()

    def night_of(self, done: Done) -> dict[str, Any]:
        """Return nightly.json of a night that was played from here."""
        path = self.left.folder / "runs" / done.result["run_id"] / "nightly.json"
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return data


def make_pair(left: LabHost, right: LabHost) -> Pair:
    """Bring both labs up in one group, and enrol three recipes on them."""
    for host in (left, right):
        bring_up(host)
        path = host.home / "hosts" / f"{host.name}.toml"
        text = path.read_text("utf-8")
        if "group" not in text:
            path.write_text(f'{text}group = "pair"\n', "utf-8")
    names = [left.name, right.name]
    tags = [f"n{i:03}" for i in range(100)]
    lefts = [tag for tag in tags if host_of(f"{tag}-html", names) == left.name]
    rights = [tag for tag in tags if host_of(f"{tag}-html", names) == right.name]
    pair = Pair(left, right, LabRecipe(left, lefts[0]), LabRecipe(left, lefts[1]), LabRecipe(right, rights[0]))
    for recipe in (pair.good, pair.bad, pair.other):
        recipe.enrol()
        other = right if recipe.host is left else left
        other.sh(f"git clone -q --mirror /srv/git/custom-html.git /srv/git/{recipe.name}.git")
    return pair


def nights(host: LabHost) -> list[dict[str, Any]]:
    """Return the results of nights that a host has, oldest first."""
    text = host.sh(f"cat {NIGHTS}/2*.json 2>/dev/null | jq -c . || true")
    return [json.loads(line) for line in text.splitlines()]


def alerts(host: LabHost) -> list[tuple[str, str]]:
    """Return app and kind of the alerts that wait on a host, oldest first, and forget them."""
    text = host.sh(f"cat {ALERTS}/*.json 2>/dev/null | jq -c '[.app, .kind]' || true; rm -f {ALERTS}/*.json")
    return [(app, kind) for app, kind in map(json.loads, text.splitlines())]


def rows(night: dict[str, Any]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return host and verdict of a night's rows, by work and recipe."""
    return {(row["work"], row["recipe"]): (row["host"], row["verdict"]) for row in night["rows"]}
