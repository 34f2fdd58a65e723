"""What a playbook is given: a whole host, or one recipe with a head to test; and what came of it so far."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
from typing_extensions import override

from ccci.engine.request import Request
from ccci.engine.session import Session
from ccci.engine.testrunner import Tester, files_of_stage
from ccci.model.canonical import Canonical
from ccci.model.deployment import Files
from ccci.model.enrolment import HOOKS_FILE
from ccci.model.recipe import Recipe
from ccci.model.run import KnownGoodChange, Mode, Release, StageResult, Verdict
from ccci.model.version import Version
from ccci.testing.context import SsoContext

HOOK = "pre_"  # begins the name of a recipe's hook


@attrs.define(kw_only=True)
class HostRun:
    """One playbook on one host.

    Attributes:
        session: the session that it runs in.
        request: what was asked for.
        mode: what kind of playbook it is.
        stages: results so far, in order.
        expected_deploys: how often this playbook brings an app up from nothing.
        known_good: known-good before and after.
        version_before, version_after: from what to what the run upgraded.
        summary: sentences for the end of the summary.
        outcome: what a reconcile came to, such as `noop-healthy`; empty for others.
    """

    session: Session
    request: Request
    mode: Mode
    stages: list[StageResult] = attrs.field(factory=list)
    expected_deploys: int = 0
    known_good: KnownGoodChange = attrs.field(factory=KnownGoodChange)
    version_before: str = ""
    version_after: str = ""
    summary: list[str] = attrs.field(factory=list)
    outcome: str = ""

    @property
    def alerts(self) -> list[str]:
        """Names of the alerts that were raised."""
        return self.session.alerts

    @property
    def id(self) -> str:
        """The run's id."""
        return self.session.run_id

    @property
    def hex(self) -> str:
        """The random part of the run's id: what its cold apps and realms are named by."""
        return self.session.run_id[-6:]

    @property
    def commit(self) -> str:
        """The commit that is tested, if one is."""
        return ""

    def close(self) -> None:
        """End what the run has started on this machine."""

    def passed(self) -> Verdict:
        """Return the verdict of a playbook that came to its end."""
        return Verdict.PASSED


@attrs.define(kw_only=True)
class Run(HostRun):
    """One playbook on one recipe.

    Attributes:
        recipe: the recipe's enrolment.
        head: what is tested; for a reconcile, the newest release.
        base: what the cold lane upgrades from; None if there is nothing to upgrade from.
        canonical: the recipe's canonical, or None if it has none yet.
        no_base: why there is no base; empty if there is one.
        releases: the recipe's released versions.
        files: trees of commits that were read, by commit.
        fall_back_to: starts another playbook on this run.
        testers: test processes that were started ahead, by stage.
        overlay: values that this run lays over an app's env file, by the app's domain: those of its realm.
        given_secrets: values of swarm secrets that this run must not make up, by the secret's name.
        sso: the realm that this run was given, for its tests.
        dep_domains: where the dependencies are that were deployed with the app, by recipe.
        local_tests: a folder of this machine with the tests that the pull request brings, if they may run.
    """

    recipe: Recipe
    head: Release
    base: Release | None
    canonical: Canonical | None
    files: dict[str, Files]
    fall_back_to: Callable[[Run, str], Verdict]
    no_base: str = ""
    releases: Mapping[Version, Release] = attrs.field(factory=dict)
    testers: dict[str, Tester] = attrs.field(factory=dict)
    overlay: dict[str, dict[str, str]] = attrs.field(factory=dict)
    given_secrets: dict[str, str] = attrs.field(factory=dict, repr=False)
    sso: SsoContext | None = attrs.field(default=None, repr=False)
    dep_domains: dict[str, str] = attrs.field(factory=dict)
    local_tests: Path | None = None

    @property
    @override
    def commit(self) -> str:
        return self.head.commit

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

    @property
    def stateful(self) -> bool:
        """Whether the recipe is a provider with data to lose."""
        return self.recipe.meta.provider is not None and self.recipe.meta.provider.stateful

    def start_tester(self, stage: str) -> None:
        """Start a stage's test process while something else is waited for; `pre_<stage>` is that of its hook."""
        if stage in self.testers:
            return
        if stage.startswith(HOOK) and self.recipe.tests is not None:
            self.testers[stage] = Tester([self.recipe.tests / HOOKS_FILE], stage)
        else:
            self.testers[stage] = Tester(files_of_stage(stage, self.recipe.tests))

    @override
    def close(self) -> None:
        for tester in self.testers.values():
            tester.close()
        self.testers.clear()
        if self.local_tests is not None:
            shutil.rmtree(self.local_tests, ignore_errors=True)
            self.local_tests = None

    def fall_back(self, playbook: str, *, because: str) -> Verdict:
        """Run another playbook instead, saying why."""
        self.session.say(f"falling back to {playbook.upper()}: {because}", keep=True)
        return self.fall_back_to(self, playbook)
