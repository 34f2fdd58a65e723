"""What somebody asked for, checked: the input of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from ccci.errors import UsageError
from ccci.model import names
from ccci.model.recipe import STAGES
from ccci.model.version import is_version
from ccci.settings import Settings

QUICK_STAGES = ("upgrade", "custom")
_TRUE = frozenset({"1", "true", "yes", "on"})


@attrs.frozen
class Request:
    """A run that was asked for.

    Attributes:
        playbook: the playbook's name.
        recipe: the recipe's name, checked; empty for a playbook on the host as a whole.
        ref: branch, tag or commit, checked; empty for the lane's own choice.
        pull_request: the number of the pull request whose head is tested, or 0.
        stages: the stages asked for; empty for all that the recipe has.
        skip_fetch: whether the clone on the host is used as it is.
        result: where result.json goes besides the usual place, or None.
        dry_run: whether only the plan is shown.
        allow: the upgrade `A->B` that an operator releases from its hold, or empty.
        retry: whether an upgrade that was rolled back before is tried again.
        every: whether a night tests what is known-good already, too.
    """

    playbook: str
    recipe: str
    ref: str = ""
    pull_request: int = 0
    stages: tuple[str, ...] = ()
    skip_fetch: bool = False
    result: Path | None = None
    dry_run: bool = False
    allow: str = ""
    retry: bool = False
    every: bool = False


def make_request(  # noqa: PLR0913  (one argument a flag)
    playbook: str,
    *,
    recipe: str,
    ref: str = "",
    pull_request: str = "",
    stages: str = "",
    skip_fetch: bool = False,
    result: Path | None = None,
    dry_run: bool = False,
    allow: str = "",
    retry: bool = False,
    every: bool = False,
) -> Request:
    """Check what came from flags, the environment or pyinfra's `--data`.

    Raises:
        UsageError: a name, ref, number or stage is none.
    """
    return Request(
        playbook=playbook,
        recipe=names.recipe_name(recipe) if recipe else "",
        ref=names.git_ref(ref) if ref else "",
        pull_request=names.pull_request(pull_request) if pull_request else 0,
        stages=_stages(stages, playbook),
        skip_fetch=skip_fetch,
        result=result,
        dry_run=dry_run,
        allow=_jump(allow) if allow else "",
        retry=retry,
        every=every,
    )


def _stages(text: str, playbook: str) -> tuple[str, ...]:
    """Check the stages that somebody asked for, and put them in order."""
    wanted = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := [stage for stage in wanted if stage not in STAGES]:
        raise UsageError(f"unknown stage {unknown[0]!r}", hint=f"stages are {', '.join(STAGES)}")
    if playbook == "quick" and wanted and not {"upgrade"} <= set(wanted) <= set(QUICK_STAGES):
        raise UsageError(
            f"the quick lane upgrades, and its only other stage is custom: {text!r} cannot be had",
            hint="use the cold lane, or the stages upgrade and custom",
        )
    if "restore" in wanted and "backup" not in wanted:
        raise UsageError("the stage restore brings back what the stage backup saved", hint="ask for backup, too")
    return tuple(stage for stage in STAGES if stage in wanted)


def _jump(text: str) -> str:
    """Check the `A->B` of an operator who releases a hold."""
    before, arrow, after = text.partition("->")
    if not arrow or not is_version(before) or not is_version(after):
        raise UsageError(f"--allow {text!r} names no upgrade", hint="write both versions, as in 1.0.0+2.3->2.0.0+3.1")
    return text


def request_from_environment(environ: Mapping[str, str]) -> Request:
    """Read RECIPE, REF, PR, CCCI_QUICK or MODE, STAGES and CCCI_SKIP_FETCH, as CI systems set them.

    Raises:
        UsageError: RECIPE is missing, or a value is none that we know.
    """
    if not environ.get("RECIPE"):
        raise UsageError("RECIPE is not set", hint="set RECIPE=<name>, or use `ccci play PLAYBOOK --recipe R`")
    mode = environ.get("MODE", "").lower()
    if mode not in ("", "cold", "quick"):
        raise UsageError(f"MODE={mode!r} is no lane", hint="MODE is cold or quick")
    quick = mode == "quick" or (not mode and environ.get("CCCI_QUICK", "").lower() in _TRUE)
    return make_request(
        "quick" if quick else "cold",
        recipe=environ["RECIPE"],
        ref=environ.get("REF", ""),
        pull_request=environ.get("PR", ""),
        stages=environ.get("STAGES", ""),
        skip_fetch=skip_fetch(environ),
    )


def skip_fetch(environ: Mapping[str, str]) -> bool:
    """Return whether CCCI_SKIP_FETCH asks to use the clone as it is."""
    return environ.get("CCCI_SKIP_FETCH", "").lower() in _TRUE


@attrs.frozen
class Context:
    """Settings and request: all that a session needs besides the host."""

    settings: Settings
    request: Request
