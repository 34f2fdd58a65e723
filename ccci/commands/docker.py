"""Docker's command line and its Engine API (read with curl over its socket), as argument lists."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote as url_quote

from ccci.commands.shell import Argv, argv

SOCKET = "/var/run/docker.sock"
API = "v1.40"  # the oldest that has all we read: Docker 19.03
NAMESPACE = "com.docker.stack.namespace"
APP_LABEL = "ccci.app"
RUN_LABEL = "ccci.run"


def get(*paths: str) -> Argv:
    """GET each path of the Engine API; the answers follow each other, one JSON text a line."""
    words: list[str] = ["curl", "-sS", "-f", "--max-time", "20", "--unix-socket", SOCKET, "-w", "\\n"]
    return argv(*words, *(f"http://docker/{API}{path}" for path in paths))


def filtered(path: str, **filters: Sequence[str]) -> str:
    """Return `path` with the Engine API's `filters` parameter."""
    return f"{path}?filters={url_quote(json.dumps(filters))}"


def of_stack(path: str, stack: str) -> str:
    """Return `path` filtered to what belongs to a stack."""
    return filtered(path, label=[f"{NAMESPACE}={stack}"])


def stack_deploy(stack: str, files: Sequence[str], *, resolve_image: str) -> Argv:
    """Deploy `files`, in order; services that are in none of them are removed."""
    words = ["docker", "stack", "deploy", "--prune", "--resolve-image", resolve_image]
    for name in files:
        words += ["-c", name]
    return argv(*words, stack)


def stack_rm(stack: str) -> Argv:
    """Remove a stack's services, networks, and the secrets and configs that it declared itself."""
    return argv("docker", "stack", "rm", stack)


def container_rm(ids: Sequence[str]) -> Argv:
    """Remove stopped containers, with the volumes that have no name."""
    return argv("docker", "rm", "-v", *ids)


def volume_create(name: str, *, labels: Mapping[str, str], options: Mapping[str, str] | None = None) -> Argv:
    """Create a volume of the `local` driver."""
    words = ["docker", "volume", "create", "--driver", "local"]
    for key in sorted(labels):
        words += ["--label", f"{key}={labels[key]}"]
    for key, value in sorted((options or {}).items()):
        words += ["--opt", f"{key}={value}"]
    return argv(*words, name)


_FROM_STDIN = 'value=$(cat) && [ "${#value}" = "$1" ] && shift && printf %s "$value" | "$@"'


def secret_create(name: str, length: int, *, labels: Mapping[str, str]) -> Argv:
    """Create a swarm secret from standard input, of which `length` ASCII characters must come."""
    words = ["docker", "secret", "create"]
    for key in sorted(labels):
        words += ["--label", f"{key}={labels[key]}"]
    return argv("sh", "-c", _FROM_STDIN, "ccci-secret", length, *words, name, "-")


def secret_rm(names: Sequence[str]) -> Argv:
    """Remove swarm secrets."""
    return argv("docker", "secret", "rm", *names)


_MISSING = 'for name; do docker image inspect "$name" >/dev/null 2>&1 || echo "$name"; done; docker version >/dev/null'


def missing_images(names: Sequence[str]) -> Argv:
    """Print those images that the engine does not have; fails if it does not answer."""
    return argv("sh", "-c", _MISSING, "ccci-images", *names)


def pull(name: str) -> Argv:
    """Pull an image."""
    return argv("docker", "pull", "--quiet", name)


def image_rm(names: Sequence[str]) -> Argv:
    """Remove an image by all its names; docker refuses if a container is made of it."""
    return argv("docker", "image", "rm", *names)


def execute(container: str, words: Sequence[str], *, stdin: bool) -> Argv:
    """Run a command in a container."""
    return argv("docker", "exec", *(["-i"] if stdin else []), container, *words)
