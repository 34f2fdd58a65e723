"""The settings of the bridge, each declared once: type, default, help and the check that reads it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from ccci.errors import UsageError
from ccci.model import names
from ccci.model.optionreaders import Reader, about, checked, matching, path, seconds, whole

_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>[1-9][0-9]{0,4})")
_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(?:/[A-Za-z0-9._~/\-]*)?")
_REPORT = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+/[A-Za-z0-9._~/\-#?=]*\{run_id\}[A-Za-z0-9._~/\-]*")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PORT_MAX = 65_535
_url = matching(_URL, "a URL that begins with https:// or http://, without a user")


def _listen(value: Any, _: Path) -> tuple[str, int]:
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    try:
        if found and int(found["port"]) <= _PORT_MAX:
            return str(ipaddress.ip_address(found["v6"] or found["v4"])), int(found["port"])
    except ValueError:
        pass
    raise ValueError("an IP address and a port, such as '127.0.0.1:8465' or '[::1]:8465'")


def _listed(check: Callable[[Any], bool], wanted: str) -> Reader:
    def read(value: Any, _: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(check(v) for v in value) or len(set(value)) != len(value):
            raise ValueError(f"a list of {wanted}, none twice")
        return tuple(value)

    return read


def _is_user(value: Any) -> bool:
    return isinstance(value, str) and _USER.fullmatch(value) is not None


def _is_repository(value: Any) -> bool:
    try:
        owner, _, name = names.repository(value if isinstance(value, str) else "").partition("/")
        return bool(owner and names.recipe_name(name))
    except UsageError:
        return False


def _polled(value: Any, base: Path) -> float:
    return 0.0 if type(value) in {int, float} and value == 0 else float(seconds(1)(value, base))


@attrs.frozen
class BridgeOptions:
    """The table [bridge]; the ``help`` of each option is in its declaration."""

    forge: str = attrs.field(metadata=about("URL of the forge, Gitea or Forgejo", _url))
    forge_token: Path = attrs.field(metadata=about("file with the forge's token; mode 0600", path))
    webhook_secret: Path = attrs.field(metadata=about("file with the webhooks' secret; mode 0600", path))
    drone: str = attrs.field(metadata=about("URL of Drone", _url))
    drone_token: Path = attrs.field(metadata=about("file with Drone's token; mode 0600", path))
    drone_repository: str = attrs.field(
        metadata=about(
            "owner/name of the repository whose .drone.yml runs ccci", checked(names.repository, "owner/name")
        )
    )
    repositories: tuple[str, ...] = attrs.field(
        metadata=about("recipes' repositories at the forge", _listed(_is_repository, "owner/recipe"))
    )
    organisation: str = attrs.field(
        default="",
        metadata=about("organisation at the forge whose members may ask for runs", matching(_USER, "a name")),
    )
    allow: tuple[str, ...] = attrs.field(
        default=(), metadata=about("users who may, besides its members", _listed(_is_user, "users"))
    )
    drone_branch: str = attrs.field(
        default="main", metadata=about("branch of drone_repository that is built", checked(names.git_ref, "a branch"))
    )
    listen: tuple[str, int] = attrs.field(
        default=("127.0.0.1", 8465), metadata=about("address and port for webhooks", _listen)
    )
    queue: Path | None = attrs.field(
        default=None, metadata=about("file of the queue; else bridge.sqlite in the state folder of ccci", path)
    )
    poll: float = attrs.field(
        default=0.0,
        metadata=about("seconds between two looks for comments at the forge; 0 for webhooks only", _polled),
    )
    report_url: str = attrs.field(
        default="",
        metadata=about("where a run's report is", matching(_REPORT, "a URL with {run_id} in its path")),
    )
    build_timeout: float = attrs.field(
        default=7200.0, metadata=about("seconds until a build has to be over", seconds(1))
    )
    hourly: int = attrs.field(default=20, metadata=about("runs that one user may ask for in an hour", whole(1, 10_000)))
    refusals: int = attrs.field(
        default=60,
        metadata=about("bad requests of one address a minute, before it gets no other answer", whole(1, 100_000)),
    )
    body: int = attrs.field(
        default=1_000_000, metadata=about("bytes that a webhook may have", whole(1_000, 100_000_000))
    )
