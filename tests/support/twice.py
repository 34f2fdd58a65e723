"""Call every idempotent operation twice on the lab and print whether it changed something each time.

A program of its own, since it runs in pyinfra's immediate mode: `python -m tests.support.twice RECIPE IMAGE`; the
image is one that the host does not have and can pull. Operations on realms are tried by `tests.support.realms`.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import importlib  # noqa: E402
import io  # noqa: E402
import json  # noqa: E402
import pkgutil  # noqa: E402
import sys  # noqa: E402
import tarfile  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import PurePosixPath  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import ccci.operations  # noqa: E402
from ccci import settings as settings_module  # noqa: E402
from ccci.engine.operator import operator_session  # noqa: E402
from ccci.events import Stream  # noqa: E402
from ccci.facts.docker import DockerEngine  # noqa: E402
from ccci.facts.git import Commit  # noqa: E402
from ccci.facts.system import PythonThere  # noqa: E402
from ccci.model import codec  # noqa: E402
from ccci.model.app import cold_app  # noqa: E402
from ccci.model.canonical import Manifest  # noqa: E402
from ccci.model.deployment import Deployment, Place, app_env, plan  # noqa: E402
from ccci.model.recipe import Health  # noqa: E402
from ccci.model.run import Release  # noqa: E402
from ccci.operations.host import authorised, key_made, switched, unauthorised, unpacked  # noqa: E402
from ccci.operations.image import images_present, images_removed  # noqa: E402
from ccci.operations.recipe import cloned, no_worktrees, worktree  # noqa: E402
from ccci.operations.record import file_written, removed, secrets_present, secrets_removed  # noqa: E402
from ccci.operations.stack import deploy, health_gate, undeploy  # noqa: E402
from ccci.operations.volume import (  # noqa: E402
    fork_volumes,
    probe_overlay,
    remove_volumes,
    restore_volumes,
    snapshot_volumes,
)
from ccci.steps.head import read_files  # noqa: E402

if TYPE_CHECKING:
    from ccci.engine.session import Session

HEX = "00beef"
ELSEWHERE = "ccci.operations.realm"  # tried by tests.support.realms, where there is a Keycloak
VERSION = "1.11.0+1.26.3"


def idempotent() -> list[str]:
    """Return the names of all operations that say that a second call changes nothing, but those tried elsewhere."""
    found = []
    for info in pkgutil.iter_modules(ccci.operations.__path__):
        module = importlib.import_module(f"ccci.operations.{info.name}")
        if module.__name__ == ELSEWHERE:
            continue
        found += [
            name
            for name, value in vars(module).items()
            if getattr(value, "is_idempotent", False) and value._inner.__module__ == module.__name__
        ]
    return sorted(found)


class Tries:
    """Calls operations twice and says what each call did."""

    def __init__(self, session: Session, recipe: str) -> None:
        """Choose names that belong to the recipe's tests only."""
        self.session = session
        self.repo = PurePosixPath("/root/.abra/recipes") / recipe
        self.scratch = PurePosixPath("/var/lib/ci-warm/scratch") / f"twice-{recipe}"
        self.app = cold_app(recipe, HEX, session.host_settings.base_domain)

    def twice(self, operation: Callable[..., Any], *args: Any, **arguments: Any) -> None:
        """Call an operation twice."""
        changes = [self.session.perform(operation, *args, **arguments) for _ in range(2)]
        sys.stdout.write(f"{operation.__name__}: {' '.join(map(str, changes))}\n")

    def deployment(self) -> Deployment:
        """Plan the newest release at the tests' own app."""
        commit = self.session.read(Commit, repo=self.repo, ref=VERSION)
        release = Release(commit, VERSION, released=True)
        files = read_files(self.session, self.app.recipe, commit)
        env = app_env(files, self.app, release, {})
        return plan(files, release, Place(self.app, env, dnsrr=not self.session.read(DockerEngine).ipvs))

    def files(self) -> None:
        """Try what writes and removes files and clones."""
        other = self.scratch / "clone"
        self.twice(cloned, other, url=f"file:///srv/git/{self.app.recipe}.git")
        self.twice(file_written, self.scratch / "file", text="said\n", mode="0600")

    def stack(self) -> None:
        """Try what deploys, with all that a deployment needs."""
        deployment = self.deployment()
        tree = self.scratch / "tree"
        self.twice(worktree, self.repo, path=tree, commit=deployment.release.commit)
        self.twice(deploy, deployment, tree=tree, scratch=self.scratch)
        self.twice(health_gate, deployment, Health(timeout=60.0))
        self.twice(undeploy, self.app.stack)

    def secrets(self) -> None:
        """Try what makes and removes secrets."""
        name = f"{self.app.stack}_word_v1"
        self.twice(secrets_present, {name: "open sesame"}, labels={"ccci.app": self.app.domain})
        self.twice(secrets_removed, [name])

    def volumes(self) -> None:
        """Try what forks, restores and removes volumes: on the volume that the deployment left."""
        session, volume, run = self.session, f"{self.app.stack}_content", f"twice-{self.app.recipe}"
        labels = {"ccci.app": self.app.domain, "ccci.run": run}
        self.twice(probe_overlay, run, labels=labels)
        self.twice(fork_volumes, {"content": volume}, run_id=run, labels=labels)
        self.twice(remove_volumes, [f"ccci-{run}-content", f"ccci-{run}"])
        output = session.perform_for_output(snapshot_volumes, {"content": volume}, into=self.scratch / "snapshot")
        digest, _, size = [line for line in output if line]
        record = {"volume": volume, "digest": digest, "size": int(size)}
        texts = {"recipe": self.app.recipe, "version": VERSION, "commit": "0" * 40, "taken": "2026-01-01T00:00:00Z"}
        manifest = codec.load(
            Manifest,
            json.dumps({"schema": Manifest.SCHEMA, **texts, "volumes": {"content": record}}),
            where="the tests",
        )
        session.perform(remove_volumes, [volume])
        self.twice(restore_volumes, manifest, snapshot=self.scratch / "snapshot")
        session.perform(remove_volumes, [volume])

    def programs(self) -> None:
        """Try what puts ccci on the host: with a program in its place that is content with everything."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            tar.addfile(tarfile.TarInfo("site/ccci/__main__.py"))
        release, key = self.scratch / "release", self.scratch / "key"
        self.twice(unpacked, release, archive=buffer.getvalue(), python=self.session.read(PythonThere))
        self.twice(switched, self.scratch / "link", to=release, settings=self.scratch / "none", home=self.scratch)
        self.twice(key_made, key)
        self.twice(authorised, key.with_suffix(".pub"))
        self.twice(unauthorised, key.with_suffix(".pub"))

    def clean(self) -> None:
        """Try what removes folders."""
        self.twice(removed, self.scratch / "file", self.scratch / "clone")
        self.twice(no_worktrees, self.repo, scratch=self.scratch)


def main() -> None:
    """Try all of them on the settings' host."""
    settings = settings_module.load()
    with operator_session(settings, "twice", Stream()) as session:
        tries = Tries(session, sys.argv[1])
        try:
            for part in (tries.files, tries.stack, tries.secrets, tries.volumes, tries.programs):
                part()
            tries.twice(images_present, [sys.argv[2]])
            tries.twice(images_removed, [sys.argv[2]])
        finally:
            tries.clean()
    sys.stdout.write(f"idempotent: {json.dumps(idempotent())}\n")


if __name__ == "__main__":
    main()
