"""A thousand webhooks in ten seconds, half of them duplicates, for a bridge beside a forge and a Drone of ours.

`python -m bench.bridge URL` is the sender: a process of its own, so that the services of the benchmark do not slow it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import requests

from bench.figures import Section, Series
from tests.support.bridge import Bridge
from tests.support.crash import until
from tests.support.fakeforge import signed

DELIVERIES, SECONDS, SENDERS = 1000, 10.0, 4
_HOW = (
    f"{DELIVERIES:,} signed webhooks in {SECONDS:g} s over {SENDERS} connections, each comment delivered twice. "
    "The bridge is a process of its own and works on the triggers meanwhile: it asks the forge, comments, starts "
    "builds. An answer is timed by who sends, from the first byte to the last; the 99th percentile is of all answers "
    "of one run."
)


def measure(runs: int) -> Section:
    """Deliver, time the answers, and count what came of them."""
    half, p99 = Series("answer to a webhook, half of them", "ms"), Series("answer to a webhook, p99", "ms", 100.0)
    done = Series("until the last build is started")
    notes = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="ccci-bench-") as folder:
            waits, lost, doubled, seconds = _deliver_all(Path(folder))
        ordered = sorted(waits)
        half.values.append(ordered[len(ordered) // 2] * 1000)
        p99.values.append(ordered[int(len(ordered) * 0.99)] * 1000)
        done.values.append(seconds)
        notes.append(f"{len(waits)} answers, {DELIVERIES // 2} comments: {lost} lost, {doubled} doubled")
    return Section("The bridge", _HOW, [half, p99, done], sorted(set(notes)))


def _deliver_all(folder: Path) -> tuple[list[float], int, int, float]:
    """Run once; returns the seconds of each answer, comments lost, builds doubled, seconds until the last build."""
    bridge = Bridge(folder, extra="hourly = 10000")
    bridge.drone.held = True
    bridge.start()
    try:
        comments = [bridge.forge.write(1, "anna", "!testme") for _ in range(DELIVERIES // 2)]
        bodies = [body.decode() for comment in comments for body in (bridge.forge.webhook(comment),) * 2]
        words = [sys.executable, "-m", "bench.bridge", f"{bridge.url}/webhook"]
        root = Path(__file__).parent.parent
        begin = time.monotonic()
        sent = subprocess.run(words, cwd=root, input=json.dumps(bodies), capture_output=True, text=True, check=True)
        until(lambda: len(bridge.drone.builds) >= len(comments), "all builds", 300)
        seconds = time.monotonic() - begin
        builds = Counter(build.params["CCCI_TRIGGER"] for build in bridge.drone.builds)
        taken = {row["comment"] for row in bridge.rows()}
        waits = [float(wait) for wait in json.loads(sent.stdout)]
        return waits, len(comments) - len(taken), sum(n - 1 for n in builds.values()), seconds
    finally:
        bridge.close()


def _send(url: str, bodies: list[bytes], number: int, begin: float, waits: list[float]) -> None:
    http = requests.Session()
    http.trust_env = False
    for at in range(number, len(bodies), SENDERS):
        time.sleep(max(0.0, begin + at * SECONDS / len(bodies) - time.monotonic()))
        headers = signed(bodies[at])
        start = time.perf_counter()
        answer = http.post(url, data=bodies[at], headers=headers, timeout=30)
        waits.append(time.perf_counter() - start)
        answer.raise_for_status()
    http.close()


def main() -> None:
    """Send what comes by standard input, and write how long each answer took."""
    bodies = [body.encode() for body in json.load(sys.stdin)]
    waits: list[float] = []
    begin = time.monotonic()
    senders = [
        threading.Thread(target=_send, args=(sys.argv[1], bodies, number, begin, waits)) for number in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    json.dump(waits, sys.stdout)


if __name__ == "__main__":
    main()
