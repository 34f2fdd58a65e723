"""The run that a playbook is given: what is tested, against what, and what came of it so far."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ccci.engine.request import Request
from ccci.engine.session import Session
from ccci.engine.testrunner import Tester, files_of_stage
from ccci.model.canonical import Canonical
from ccci.model.deployment import Files
from ccci.model.recipe import Recipe
from ccci.model.run import KnownGoodChange, Mode, Release, StageResult, Verdict


@attrs.define
class Run:
    """One run.

    Attributes:
        session: the session that it runs in.
        request: what was asked for.
        recipe: the recipe's enrolment.
        mode: the lane.
        head: what is tested.
        base: what the cold lane upgrades from; None if no release is older.
        canonical: the recipe's canonical, or None if it has none yet.
        files: trees of commits that were read, by commit.
        fall_back_to: starts another playbook on this run.
        stages: results so far, in order.
        expected_deploys: how often this lane brings an app up from nothing.
        known_good: known-good before and after.
        version_before, version_after: from what to what the run upgraded.
        summary: sentences for the end of the summary.
        testers: test processes that were started ahead, by stage.
    """

    session: Session
    request: Request
    recipe: Recipe
    mode: Mode
    head: Release
    base: Release | None
    canonical: Canonical | None
    files: dict[str, Files]
    fall_back_to: Callable[[Run, str], Verdict]
    stages: list[StageResult] = attrs.field(factory=list)
    expected_deploys: int = 0
    known_good: KnownGoodChange = attrs.field(factory=KnownGoodChange)
    version_before: str = ""
    version_after: str = ""
    summary: list[str] = attrs.field(factory=list)
    testers: dict[str, Tester] = attrs.field(factory=dict)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.session.run_id

    @property
    def label(self) -> str:
        """How a step's title names the run."""
        return self.recipe.name

    @property
    def complete(self) -> bool:
        """Whether all stages of the recipe were asked for."""
        return not self.request.stages or set(self.recipe.meta.stages) <= set(self.request.stages)

    def jump_from(self, version: str) -> str:
        """Say from what to what this run upgrades, in words, and keep both for the result."""
        head = self.head.version or self.head.short
        self.version_before, self.version_after = version, head
        return f"{version} -> {head}{f' ({self.head.short})' if version == head else ''}"

    def wants(self, stage: str) -> bool:
        """Return whether a stage is part of this run."""
        return stage in self.recipe.meta.stages and (not self.request.stages or stage in self.request.stages)

    def tester(self, stage: str) -> Tester:
        """Return the stage's test process, started ahead or now."""
        self.start_tester(stage)
        return self.testers.pop(stage)

    def start_tester(self, stage: str) -> None:
        """Start a stage's test process while something else is waited for."""
        if stage not in self.testers:
            self.testers[stage] = Tester(files_of_stage(stage, self.recipe.tests))

    def close(self) -> None:
        """End test processes that were started and never used."""
        for tester in self.testers.values():
            tester.close()
        self.testers.clear()

    def fall_back(self, playbook: str, *, because: str) -> Verdict:
        """Run another playbook instead, saying why."""
        self.session.say(f"falling back to {playbook.upper()}: {because}", keep=True)
        return self.fall_back_to(self, playbook)

    def passed(self) -> Verdict:
        """Return the verdict of a playbook that came to its end."""
        return Verdict.PASSED
