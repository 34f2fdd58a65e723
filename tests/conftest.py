"""The whole test session: gevent's patch, the lab's home, and the end of the lab."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from types import FrameType  # noqa: E402

import gevent  # noqa: E402
import hypothesis  # noqa: E402
import pytest  # noqa: E402
from xdist.remote import Producer  # noqa: E402
from xdist.scheduler.loadscope import LoadScopeScheduling  # noqa: E402

# How long an example takes says more about what else this machine does than about the code.
hypothesis.settings.register_profile("ccci", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("ccci")

sys.path.append(str(Path(__file__).parent.parent))  # for tests.support; last, so that an installed ccci wins

HOME_VARIABLE = "CCCI_TEST_HOME"  # what the session's own CCCI_HOME is, for the workers
BORROWED_VARIABLE = "CCCI_TEST_LAB"  # the name of a running lab to use and to leave alone, for development
FIGURE = "figure"  # the property of a test's report that the end of the session repeats
LAB_TESTS = Path(__file__).parent / "lab"
FAKE_TESTS = Path(__file__).parent / "fake"


# xdist's worker waits for work from a thread that began before the patch, which gevent's hub cannot see:
# something must be left in the hub to wait for, or the wait counts as one for ever.
_ALIVE = gevent.spawn(gevent.sleep, 10**6)


# Their tests share what only one worker may have, such as a lab of their own.
ONE_WORKER = (
    "test_host_faults.py",
    "test_crash_promotion.py",
    "test_canonical_verbs.py",
    "test_keycloak.py",
    "test_realms.py",
    "test_traefik.py",
    "test_alerts.py",
    "test_nightly.py",
    "test_forge.py",
    "test_drone_build.py",
    "test_crash_matrix.py",
)

# Those of providers share one lab of theirs, so they go to one worker all together.
WARM = ("test_alerts.py", "test_keycloak.py", "test_realms.py", "test_traefik.py")


class OneWorkerFiles(LoadScopeScheduling):
    """Tests go to any worker, but those of the files above to one: groups of xdist fail with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", 1)[0]
        if path.endswith(WARM):
            return "warm"
        return path if path.endswith(ONE_WORKER) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerFiles:
    """Share the tests out."""
    return OneWorkerFiles(config, log)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Choose a home for the session's lab, and let SIGTERM end the session in order."""
    if not _is_worker(config):
        os.environ[HOME_VARIABLE] = tempfile.mkdtemp(prefix="ccci-test-")
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in tests/lab, and what breaks runs at every point on fake hosts."""
    for item in items:
        if LAB_TESTS in item.path.parents:
            item.add_marker("lab")
        if FAKE_TESTS in item.path.parents:
            item.add_marker("chaos")


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """A way to say a figure that the session repeats at its end, red or green."""
    return lambda line: record_property(FIGURE, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat the figures of all tests."""
    reports = [r for kind in ("passed", "failed", "") for r in terminalreporter.stats.get(kind, [])]
    figures = [p for report in reports for p in getattr(report, "user_properties", [])]
    lines = sorted({str(value) for name, value in figures if name == FIGURE})  # a fixture may tell one at its end
    if lines:
        terminalreporter.section("figures")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take the session's lab down, however the session ended."""
    if _is_worker(session.config):
        return
    home = Path(os.environ.pop(HOME_VARIABLE))
    for record in home.glob("labs/[!.]*"):
        words = [sys.executable, "-m", "ccci", "lab", "down", "--name", record.name]
        done = subprocess.run(
            words, env={**os.environ, "CCCI_HOME": str(home)}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.stderr.write(
                f"the lab of the tests was not taken down; `CCCI_HOME={home} {' '.join(words)}`\n{done.stderr}"
            )
            return
    shutil.rmtree(home)
