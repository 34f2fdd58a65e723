"""A provider on a lab of its own: its releases, its reconciles, and the truth about it, found out without ccci."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from tests.support.recipe import GIT, Tree, pack, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.host import LabHost
    from tests.support.running import Done, Running

Edit = Callable[[Tree], None]
PATIENCE = 600.0  # seconds for one play: a Keycloak starts in a fifth of a minute, but not on every machine
ALERTS = "/var/lib/ci-warm/alerts"
_RELEASE = """
set -e; tree=$(mktemp -d); git clone -q -n {origin} "$tree"; cd "$tree"
git checkout -q --detach 'refs/tags/{base}^{{}}'; git rm -q -r . ; tar -x -f - -C "$tree"; git add -A
{git} commit -q --allow-empty -m '{version}'; {git} tag -a -m '{version}' '{version}'
git push -q {origin} 'refs/tags/{version}'; cd /; rm -rf "$tree"
"""


_TAKE_DOWN = "docker stack rm {stack} >/dev/null; while docker ps -aq -f name={stack}_ | grep -q .; do sleep 0.2; done"
_FORGET = """
for kind in volume secret; do docker $kind ls --format '{{{{.Name}}}}' | grep '^{stack}_' | xargs -r docker $kind rm
done; rm -rf {home} {env}
"""
# What a volume holds, told without ccci: every name with its kind, mode, owner, size and time, and every file's sum.
_LIST = r"""
find . ! -type d -printf '%P %y %m %U %G %s %T@ %l\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum
"""


@attrs.frozen
class Provider:
    """A provider of the lab.

    Attributes:
        host: the lab.
        name: the recipe's name.
        domain: where it is.
        recipes: the enrolments that runs use.
    """

    host: LabHost
    name: str
    domain: str
    recipes: Path

    @property
    def stack(self) -> str:
        """Its stack."""
        return self.domain.replace(".", "_")

    @property
    def home(self) -> str:
        """Its folder on the host."""
        return f"/var/lib/ci-warm/{self.name}"

    @property
    def env_file(self) -> str:
        """Its env file, where abra looks for it."""
        return f"/root/.abra/servers/default/{self.domain}.env"

    @property
    def origin(self) -> str:
        """Its repository."""
        return f"/srv/git/{self.name}.git"

    def release(self, version: str, edit: Edit, *, base: str) -> None:
        """Release a version: the files of another one, changed, with its own label."""
        tree = unpack(self.host.ssh(f"git --git-dir={self.origin} archive 'refs/tags/{base}'"))
        tree["compose.yml"] = re.sub(r"\.version=[^\"]+", f".version={version}", tree["compose.yml"])
        edit(tree)
        text = _RELEASE.format(origin=self.origin, base=base, git=GIT, version=version)
        self.host.ssh(text, pack(tree))

    def withdraw(self, version: str) -> None:
        """Take a release back, as if it had never been."""
        clone = f"/root/.abra/recipes/{self.name}"
        self.host.sh(f"git -C {self.origin} tag -d '{version}'; git -C {clone} tag -d '{version}' 2>/dev/null || true")

    def hide(self, version: str) -> None:
        """Let a release not have come out yet; its commit is the light tag `newer`."""
        tag = f"git -C {self.origin} rev-parse -q --verify 'refs/tags/{version}'"
        self.host.sh(f"! {tag} || git -C {self.origin} tag -f newer '{version}^{{}}'")
        self.withdraw(version)

    def show(self, version: str) -> None:
        """Release what was hidden, as it was."""
        self.host.sh(f"cd {self.origin} && {GIT} tag -f -a -m '{version}' '{version}' newer")

    def forget(self) -> None:
        """Remove the provider with its data and all that is known of it, as if it had never been."""
        self.take_down()
        self.host.sh(_FORGET.format(stack=self.stack, home=self.home, env=self.env_file))

    def take_down(self) -> None:
        """Remove its stack, as a person would."""
        self.host.sh(_TAKE_DOWN.format(stack=self.stack))

    def differences(self) -> str:
        """Return how the volumes differ from the archives of the snapshot, told by other means than ccci's."""
        text = "set -e; cd $(mktemp -d)\n"
        for key, record in json.loads(self.snapshot())["volumes"].items():
            at = f"$(docker volume inspect -f '{{{{.Mountpoint}}}}' {record['volume']})"
            text += f"mkdir {key}; zstd -dc {self.home}/snapshot/{key}.tar.zst | tar -xp --numeric-owner -C {key}\n"
            text += f"(cd {key}; {_LIST}) >{key}.old; (cd {at}; {_LIST}) >{key}.new; diff {key}.old {key}.new || true\n"
        return self.host.sh(text)

    def start(self, *words: str, env: dict[str, str] | None = None) -> Running:
        """Start `ccci` with these words on this host."""
        result = self.host.folder / f"{uuid.uuid4().hex}.json"
        with_result = ("--result", str(result)) if words[0] in ("play", "run") else ()
        ours = {"CCCI_RECIPES": str(self.recipes), **(env or {})}
        return self.host.start("ccci", *words, *with_result, env=ours, result=result)

    def reconcile(self, *words: str, env: dict[str, str] | None = None) -> Done:
        """Play the provider's reconcile to its end."""
        return self.start("play", f"reconcile_{self.name}", *words, env=env).finish(PATIENCE)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts about it, oldest first."""
        text = self.host.sh(f"cat {ALERTS}/*-{self.name}-*.json 2>/dev/null | jq -c . || true")
        return [json.loads(line) for line in text.splitlines()]

    def forget_alerts(self) -> None:
        """Remove all alerts."""
        self.host.sh(f"rm -rf {ALERTS}")

    def last_good(self) -> dict[str, Any]:
        """Return last_good.json."""
        data: dict[str, Any] = json.loads(self.host.sh(f"cat {self.home}/last_good.json"))
        return data

    def tasks(self) -> list[str]:
        """Return the ids of its running tasks."""
        text = self.host.sh(f"docker stack ps -q --no-trunc -f desired-state=running {self.stack}")
        return sorted(text.splitlines())

    def snapshot(self) -> str:
        """Return the manifest of its snapshot as it lies there, or an empty text."""
        return self.host.sh(f"cat {self.home}/snapshot/manifest.json 2>/dev/null || true")

    def label(self) -> str:
        """Return the version that the running service says it is."""
        form = f'{{{{index .Spec.Labels "coop-cloud.{self.stack}.version"}}}}'
        return self.host.sh(f"docker service inspect -f '{form}' {self.stack}_app")

    def assert_at(self, version: str) -> None:
        """Check that it runs a version, is healthy, is known to be so, and that no reconcile is under way."""
        assert self.label() == version
        assert self.last_good()["version"] == version
        assert self.host.sh(f"test -e {self.home}/journal.json || echo none") == "none"
        assert f":{version}" in self.host.sh(f"grep TYPE {self.env_file}")
        assert self.host.sh("ls /var/lib/ci-warm/scratch 2>/dev/null | wc -l") == "0"


@attrs.frozen
class Keycloak:
    """The live Keycloak by its own API, asked with curl on the host."""

    provider: Provider

    def _curl(self, path: str, *words: str, stdin: str = "") -> str:
        url = f"https://{self.provider.domain}{path}"
        return self.provider.host.ssh(
            f"curl -sS --fail-with-body --max-time 100 {' '.join(words)} '{url}'", stdin.encode()
        ).decode()

    def token(self, realm: str, client: str, username: str, password: str) -> dict[str, Any]:
        """Log in with a password."""
        form = f"grant_type=password&client_id={client}&username={username}&password={password}"
        path = f"/realms/{realm}/protocol/openid-connect/token"
        data: dict[str, Any] = json.loads(self._curl(path, "-d", "@-", stdin=form))
        return data

    def _admin(self, path: str, *words: str, stdin: str = "") -> str:
        token = self.token("master", "admin-cli", "admin", self.password())["access_token"]
        return self._curl(path, "-H", f"'Authorization: Bearer {token}'", *words, stdin=stdin)

    def password(self) -> str:
        """Return the administrator's password."""
        container = f"$(docker ps -q -f label=com.docker.swarm.service.name={self.provider.stack}_app | head -1)"
        return self.provider.host.sh(f"docker exec {container} cat /run/secrets/admin_password")

    def realms(self) -> list[str]:
        """Return the names of all realms."""
        return sorted(realm["realm"] for realm in json.loads(self._admin("/admin/realms")))

    def make_realm(self, name: str, **more: Any) -> None:
        """Make a realm."""
        body = json.dumps({"realm": name, "enabled": True, **more})
        self._admin("/admin/realms", "-X", "POST", "-H", "'Content-Type: application/json'", "-d", "@-", stdin=body)

    def drop_realm(self, name: str) -> None:
        """Delete a realm."""
        self._admin(f"/admin/realms/{name}", "-X", "DELETE")
