"""CI for self-hosted apps on Docker Swarm. What is listed here is what playbooks and programs may use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccci.api import play as play
    from ccci.api import reap_orphaned_realms as reap_orphaned_realms
    from ccci.engine.playbook import playbook as playbook
    from ccci.engine.run import HostRun as HostRun
    from ccci.engine.run import Run as Run
    from ccci.model.app import App as App
    from ccci.model.realm import realm_for as realm_for
    from ccci.model.run import Mode as Mode
    from ccci.model.run import RunResult as RunResult
    from ccci.model.run import Verdict as Verdict
    from ccci.model.trigger import parse_trigger as parse_trigger
    from ccci.steps.app import deploy_canonical as deploy_canonical
    from ccci.steps.app import deploy_fresh as deploy_fresh
    from ccci.steps.app import ensure_deployed as ensure_deployed
    from ccci.steps.app import health_gate as health_gate
    from ccci.steps.app import upgrade_in_place as upgrade_in_place
    from ccci.steps.backup import back_up as back_up
    from ccci.steps.backup import backup_missing as backup_missing
    from ccci.steps.backup import lose_data as lose_data
    from ccci.steps.backup import restore_backup as restore_backup
    from ccci.steps.dependencies import dependencies as dependencies
    from ccci.steps.drill import rehearse_restores as rehearse_restores
    from ccci.steps.guards import app_locked as app_locked
    from ccci.steps.guards import known_good_kept as known_good_kept
    from ccci.steps.guards import start_over as start_over
    from ccci.steps.guards import torn_down as torn_down
    from ccci.steps.night import night as night
    from ccci.steps.night import reconcile_providers as reconcile_providers
    from ccci.steps.nights import watch_nights as watch_nights
    from ccci.steps.nightwork import sweep_recipes as sweep_recipes
    from ccci.steps.promote import promote as promote
    from ccci.steps.providers import providers_held as providers_held
    from ccci.steps.prune import find_unneeded as find_unneeded
    from ccci.steps.prune import remove_unneeded as remove_unneeded
    from ccci.steps.reconcile import reconcile as reconcile
    from ccci.steps.rehearsal import rehearse_rollback as rehearse_rollback
    from ccci.steps.relay import relay as relay
    from ccci.steps.stages import run_hook as run_hook
    from ccci.steps.stages import run_tests as run_tests
    from ccci.steps.stages import skip_stage as skip_stage
    from ccci.steps.stages import stage as stage
    from ccci.steps.sweep import recover_all as recover_all

_WHERE = {
    "App": "ccci.model.app",
    "HostRun": "ccci.engine.run",
    "Mode": "ccci.model.run",
    "Run": "ccci.engine.run",
    "RunResult": "ccci.model.run",
    "Verdict": "ccci.model.run",
    "app_locked": "ccci.steps.guards",
    "back_up": "ccci.steps.backup",
    "backup_missing": "ccci.steps.backup",
    "dependencies": "ccci.steps.dependencies",
    "deploy_canonical": "ccci.steps.app",
    "deploy_fresh": "ccci.steps.app",
    "ensure_deployed": "ccci.steps.app",
    "health_gate": "ccci.steps.app",
    "known_good_kept": "ccci.steps.guards",
    "lose_data": "ccci.steps.backup",
    "night": "ccci.steps.night",
    "reconcile_providers": "ccci.steps.night",
    "sweep_recipes": "ccci.steps.nightwork",
    "rehearse_restores": "ccci.steps.drill",
    "watch_nights": "ccci.steps.nights",
    "parse_trigger": "ccci.model.trigger",
    "play": "ccci.api",
    "remove_unneeded": "ccci.steps.prune",
    "find_unneeded": "ccci.steps.prune",
    "playbook": "ccci.engine.playbook",
    "promote": "ccci.steps.promote",
    "providers_held": "ccci.steps.providers",
    "realm_for": "ccci.model.realm",
    "reap_orphaned_realms": "ccci.api",
    "reconcile": "ccci.steps.reconcile",
    "recover_all": "ccci.steps.sweep",
    "rehearse_rollback": "ccci.steps.rehearsal",
    "relay": "ccci.steps.relay",
    "restore_backup": "ccci.steps.backup",
    "run_hook": "ccci.steps.stages",
    "run_tests": "ccci.steps.stages",
    "skip_stage": "ccci.steps.stages",
    "stage": "ccci.steps.stages",
    "start_over": "ccci.steps.guards",
    "torn_down": "ccci.steps.guards",
    "upgrade_in_place": "ccci.steps.app",
}
__all__ = list(_WHERE)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pyinfra takes 0.3 s, and `ccci --help` needs none of it."""
    if name not in _WHERE:
        raise AttributeError(f"module 'ccci' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
