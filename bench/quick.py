"""A quick run beside the same Docker commands by plain shell."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figures import Section, Series, difference
from bench.target import NAME, SCRATCH, Target, ccci
from ccci.errors import InfrastructureError
from ccci.steps.registry import find_canonical

RECIPE = "custom-html"
OLD, NEW = "1.11.0+1.26.3", "1.10.0+1.22.1"
_STACK = "plain-custom-html_ci_lab_test"
_HOW = f"""\
`ccci play quick --recipe {RECIPE} --ref {NEW}` from start to exit, its canonical being {OLD};
and, in turn with it, one plain ssh session that runs the same Docker commands: `stack deploy` of {OLD} on a volume
that is there, curl through the proxy until 200, `stack deploy` of {NEW}, wait until the update is completed, one more
curl, `stack rm`, wait until no container is left. Both look every 0.15 s, and both remove stopped containers
themselves. The plain shell does no more: no clone, lock, fork, settling, tests, proof or result. The rows below the
difference say where it is spent."""

_SETUP = """
set -eu
clone=/root/.abra/recipes/{recipe}
mkdir -p {folder}/old {folder}/new
git -C $clone archive {old} | tar -x -C {folder}/old
git -C $clone archive {new} | tar -x -C {folder}/new
mode=vip; [ -e /proc/net/ip_vs ] || mode=dnsrr
printf 'version: "3.8"\\nservices:\\n  app:\\n    deploy:\\n      endpoint_mode: %s\\n' $mode >{folder}/extra.yml
"""

_SCRIPT = """
set -eu
domain=plain-custom-html.ci.lab.test; stack={stack}
deploy() (
  cd {folder}/$1; set -a; . ./.env.sample; . ./abra.sh
  DOMAIN=$domain STACK_NAME=$stack
  docker stack deploy --prune --resolve-image never -c compose.yml -c {folder}/extra.yml $stack >/dev/null
)
served() {{
  [ "$(curl -s --max-time 5 --resolve $domain:443:127.0.0.1 -o /dev/null -w '%{{http_code}}' https://$domain/)" = 200 ]
}}
updated() {{
  format='{{{{if .UpdateStatus}}}}{{{{.UpdateStatus.State}}}}{{{{end}}}}'
  [ "$(docker service inspect -f "$format" ${{stack}}_app)" = completed ]
}}
mine() {{ docker ps -q --filter label=com.docker.stack.namespace=$stack "$@"; }}
now() {{ date +%s.%N; }}
now; deploy old; until served; do sleep 0.15; done
now; deploy new; until updated; do sleep 0.15; done; served
now; docker stack rm $stack >/dev/null
until [ -z "$(mine -a)" ]; do
  sleep 0.15; stopped=$(mine -a --filter status=exited --filter status=dead)
  [ -z "$stopped" ] || docker rm $stopped >/dev/null 2>&1 || true
done
now
"""

_PARTS = {
    "bring known-good up": ("deploy_canonical", "health_gate"),
    "upgrade to the head": ("upgrade_in_place", "health_gate"),
    "take down": ("take_down",),
}
_REST = {
    "tests (two processes of pytest)": ("run_tests",),
    "lock, forks, marks, proof": (
        "check_idle", "begin", "drop_forks", "remove_strangers", "drop_scratch", "prove", "mark_idle"
    ),
}  # fmt: skip


def measure(target: Target, runs: int) -> Section:
    """Measure pairs of a quick run and the plain shell."""
    if find_canonical(target.session, RECIPE) is None:
        ccci("play", "cold", "--recipe", RECIPE, "--host", NAME)
    folder = f"{SCRATCH}/plain"
    target.plain(_SETUP.format(recipe=RECIPE, folder=folder, old=OLD, new=NEW))
    script = _SCRIPT.format(folder=folder, stack=_STACK)
    ours, plain = Series("quick run"), Series("plain shell")
    parts = {name: (Series(name), Series(f"{name}, plain shell")) for name in _PARTS}
    rest = {
        name: Series(name) for name in (*_REST, "fetch, read, plan, store the result", "start of Python, connection")
    }
    try:
        target.plain(script)  # makes the volume, once
        for _ in range(runs):
            plain.values.append(_plain(target, script, parts))
            ours.values.append(_quick(parts, rest))
    finally:
        target.plain(f"docker stack rm {_STACK} >/dev/null 2>&1; docker volume rm -f {_STACK}_content >/dev/null")
    more = difference("difference", ours, plain, aim=3.0)
    rows = [series for pair in parts.values() for series in pair]
    return Section("A quick run", _HOW, [ours, plain, more, *rows, *rest.values()])


def _plain(target: Target, script: str, parts: dict[str, tuple[Series, Series]]) -> float:
    start = time.perf_counter()
    stamps = [float(line) for line in target.plain(script)]
    wall = time.perf_counter() - start
    for (_, series), begin, end in zip(parts.values(), stamps, stamps[1:], strict=False):
        series.values.append(end - begin)
    return wall


def _quick(parts: dict[str, tuple[Series, Series]], rest: dict[str, Series]) -> float:
    with tempfile.TemporaryDirectory(prefix="ccci-bench-") as folder:
        path = Path(folder) / "result.json"
        words = ["play", "quick", "--recipe", RECIPE, "--ref", NEW, "--host", NAME, "--result", str(path)]
        start = time.perf_counter()
        ccci(*words)
        wall = time.perf_counter() - start
        result: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if (result["version_before"], result["version_after"]) != (OLD, NEW):
        raise InfrastructureError(f"the quick run went from {result['version_before']} to {result['version_after']}")
    spent = _by_part(result["steps"])
    for name, (series, _) in parts.items():
        series.values.append(spent.pop(name))
    for name in _REST:
        rest[name].values.append(spent.pop(name))
    known = sum(step["seconds"] for step in result["steps"])
    inside = max(result["seconds"] - known, 0.0) + sum(spent.values())
    rest["fetch, read, plan, store the result"].values.append(inside)
    rest["start of Python, connection"].values.append(wall - result["seconds"])
    return wall


def _by_part(steps: list[dict[str, Any]]) -> dict[str, float]:
    """Add the steps' seconds up by part; a health gate belongs to the deployment before it."""
    part_of = {operation: name for name, operations in (_PARTS | _REST).items() for operation in operations}
    spent: dict[str, float] = {}
    last = ""
    for step in steps:
        operation = step["operation"]
        name = last if operation == "health_gate" else part_of.get(operation, operation)
        last = name
        spent[name] = spent.get(name, 0.0) + step["seconds"]
    return spent
