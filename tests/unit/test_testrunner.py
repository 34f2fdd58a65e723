"""Tests of tests: a real pytest process on real files, with a canned host behind the channel."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ccci.engine import testrunner
from ccci.errors import CommandFailed, TestsFailed
from ccci.model.run import StageStatus
from ccci.testing.context import Call, Reply, TestContext

CONTEXT = TestContext(
    schema=TestContext.SCHEMA,
    recipe="blog",
    domain="blog-abcdef.ci.lab.test",
    stack="blog-abcdef_ci_lab_test",
    stage="custom",
    run_id="20260101t000000-abcdef",
    mode="cold",
    service="app",
    commit="a" * 40,
    version="1.0.0+1",
    chaos=False,
    health_path="/",
    health_status=[200],
    proxy="http://127.0.0.1:9",
    ca="",
)
PASS, FAIL, SKIP = StageStatus.PASS, StageStatus.FAIL, StageStatus.SKIP


def echo(call: Call) -> Reply:
    """Answer as a container that runs `cat`: with its words and standard input."""
    return Reply(0, stdout=(call.stdin or "") + "|".join(call.words))


def play(tmp_path: Path, text: str, answer: Callable[[Call], Reply] = echo) -> tuple[testrunner.Outcome, list[str]]:
    """Run a test file and return the outcome and the lines that were told."""
    path = tmp_path / "test_it.py"
    path.write_text(text, "utf-8")
    lines: list[str] = []
    return testrunner.Tester([path]).run(CONTEXT, answer, lines.append, limit=60), lines


def test_each_test_is_reported_as_it_ended(tmp_path: Path) -> None:
    """Passed, failed, skipped, broken set-up and broken tear-down: each with its name, seconds and reason."""
    text = """
import pytest
def test_good(): pass
def test_bad(): assert 1 == 2, "that is bad"
def test_skipped(): pytest.skip("not today")
@pytest.fixture
def broken(): raise OSError("no set-up")
def test_setup(broken): pass
@pytest.fixture
def late():
    yield
    raise OSError("no tear-down")
def test_teardown(late): pass
@pytest.mark.xfail(reason="known")
def test_known(): assert False
"""
    outcome, lines = play(tmp_path, text)
    found = [(test.name.split("::")[1], test.status) for test in outcome.tests]
    assert found == [
        ("test_good", PASS), ("test_bad", FAIL), ("test_skipped", SKIP), ("test_setup", FAIL),
        ("test_teardown", PASS), ("test_teardown", FAIL), ("test_known", SKIP),
    ]  # fmt: skip
    messages = {test.name.split("::")[1]: test.message for test in outcome.tests if test.status is not PASS}
    assert "that is bad" in messages["test_bad"]
    assert "not today" in messages["test_skipped"]
    assert "no set-up" in messages["test_setup"]
    assert outcome.exit_code == 1
    assert outcome.tail.splitlines()[-1] == lines[-1]
    assert "1 failed" in lines[-1]


def test_all_passed_is_exit_code_0(tmp_path: Path) -> None:
    """Only then."""
    outcome, _ = play(tmp_path, "def test_a(): pass")
    assert (outcome.exit_code, [test.status for test in outcome.tests]) == (0, [PASS])
    assert outcome.tests[0].name == "test_it.py::test_a"


@pytest.mark.parametrize(
    ("text", "says"), [("import nothing_of_that_name", "nothing_of_that_name"), ("def broken(:", "SyntaxError")]
)
def test_what_cannot_be_collected_fails(tmp_path: Path, text: str, says: str) -> None:
    """A file that cannot be read is a failed test with the reason, never an empty success."""
    outcome, _ = play(tmp_path, text)
    assert [test.status for test in outcome.tests] == [FAIL]
    assert says in outcome.tests[0].message
    assert outcome.exit_code == 2


def test_no_tests_are_seen_as_none(tmp_path: Path) -> None:
    """A file without tests gives no test and pytest's own exit code for that."""
    outcome, _ = play(tmp_path, "x = 1")
    assert (outcome.tests, outcome.exit_code) == ([], 5)


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_crash_loses_no_test_before_it(tmp_path: Path, end: str) -> None:
    """When the process dies, even with exit code 0, what had passed is known and what died has no result."""
    outcome, _ = play(tmp_path, f"import os\ndef test_a(): pass\ndef test_b(): {end}\ndef test_c(): pass\n")
    assert [test.name for test in outcome.tests] == ["test_it.py::test_a"]


@pytest.mark.parametrize("end", ["os._exit(0)", "pytest.exit('enough', returncode=0)"])
def test_an_early_end_is_no_success(tmp_path: Path, end: str) -> None:
    """A process that leaves with exit code 0 before all its tests ran is told from one that ran them all."""
    text = f"import os, pytest\ndef test_a(): pass\ndef test_b(): {end}\ndef test_c(): pass\n"
    outcome, _ = play(tmp_path, text)
    assert not outcome.complete


def test_garbage_on_standard_output_is_no_report(tmp_path: Path) -> None:
    """Bytes that are no text and lines that look like reports are output, and forge no result."""
    text = """
import sys
def test_a(capfd):
    with capfd.disabled():
        sys.stdout.buffer.write(b"\\xff\\xfe\\n")
        print('ccci:report:{"id": "x/test_forged", "outcome": "passed", "seconds": 1, "text": ""}', flush=True)
    assert False
"""
    outcome, lines = play(tmp_path, text)
    assert [(test.name, test.status) for test in outcome.tests] == [("test_it.py::test_a", FAIL)]
    assert any("test_forged" in line for line in lines)
    assert any("\ufffd" in line for line in lines)


def test_questions_reach_the_host_and_answers_come_back(tmp_path: Path) -> None:
    """Commands with standard input, read_file, write_file and swarm make the round trip, whatever script they hold."""
    asked: list[Call] = []

    def answer(call: Call) -> Reply:
        asked.append(call)
        return Reply(0, stdout='{"services": {}}') if call.kind == "stack" else echo(call)

    text = """
def test_a(app, run):
    assert app.exec("cat", "ü b", "'", stdin="größe\\n\\u2028\\u0085x").stdout == "größe\\n\\u2028\\u0085xcat|ü b|'"
    assert app.read_file("/etc/it's", service="db") == "cat|/etc/it's"
    app.write_file("/x", "text")
    assert app.swarm() == {"services": {}}
    assert (app.url, app.domain, app.stack) == (f"https://{run.domain}", run.domain, run.stack)
    assert (run.recipe, run.health_status) == ("blog", [200])
"""
    outcome, lines = play(tmp_path, text, answer)
    assert outcome.exit_code == 0, lines
    assert asked[0] == Call("exec", "app", ["cat", "ü b", "'"], "größe\n\u2028\u0085x")
    assert asked[1] == Call("exec", "db", ["cat", "/etc/it's"], None)
    assert asked[2].stdin == "text"


def test_big_answers_come_whole(tmp_path: Path) -> None:
    """Megabytes go both ways through the channel."""
    text = "def test_a(app):\n    t = 'ü' * 3_000_000\n    assert app.exec('cat', stdin=t).stdout == t + 'cat'\n"
    assert play(tmp_path, text)[0].exit_code == 0


def test_a_failed_command_is_a_failed_test_unless_it_is_expected(tmp_path: Path) -> None:
    """Exit code and error output come back with check=False; else the test fails and names the command."""
    text = """
def test_a(app):
    done = app.exec("x", check=False)
    assert (done.code, done.stderr) == (7, "no")
def test_b(app): app.exec("a-command")
"""
    outcome, _ = play(tmp_path, text, lambda _: Reply(7, stderr="no"))
    assert [test.status for test in outcome.tests] == [PASS, FAIL]
    assert "a-command in app ended with 7: no" in outcome.tests[1].message


def test_a_host_that_fails_is_the_tests_answer(tmp_path: Path) -> None:
    """An error of ours while answering reaches the test as a message, and the next question is answered."""
    asked: list[Call] = []

    def answer(call: Call) -> Reply:
        asked.append(call)
        if len(asked) == 1:
            raise CommandFailed("the host said no")
        return Reply(0, "fine")

    text = "def test_a(app): app.exec('x')\ndef test_b(app): assert app.exec('x').stdout == 'fine'\n"
    outcome, _ = play(tmp_path, text, answer)
    assert [test.status for test in outcome.tests] == [FAIL, PASS]
    assert "the host said no" in outcome.tests[0].message


def test_the_environment_does_not_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of a recipe see the few variables that Python needs and no token of whoever runs ccci."""
    monkeypatch.setenv("DRONE_TOKEN", "geheim")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/x")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    text = """
import os
def test_a():
    ours = {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT"}
    ours |= {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    left = {key for key in os.environ if key not in ours and not key.startswith(("CCCI_TEST_CHANNEL", "PYTEST_"))}
    assert not left
    assert "PYTEST_ADDOPTS" not in os.environ
"""
    outcome, lines = play(tmp_path, text)
    assert outcome.exit_code == 0, lines


def test_a_test_cannot_read_from_the_terminal_and_a_neighbours_settings_do_not_count(tmp_path: Path) -> None:
    """Standard input is empty, and a pytest.ini in a folder above changes nothing."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    outcome, _ = play(tmp_path, "def test_a():\n    assert open('/dev/stdin').read() == ''")
    assert (outcome.exit_code, len(outcome.tests)) == (0, 1)


def test_a_tester_that_is_not_needed_is_ended(tmp_path: Path) -> None:
    """Closing one that waits for its stage ends its process, and closing twice is no fault."""
    path = tmp_path / "test_it.py"
    path.write_text("def test_a(): pass")
    tester = testrunner.Tester([path])
    tester.close()
    tester.close()
    assert tester._process.poll() is not None


def test_tests_that_hang_fail_in_their_time(tmp_path: Path) -> None:
    """A test that never ends is the recipe's failure once its time is over, and its process is gone."""
    path = tmp_path / "test_it.py"
    path.write_text(f"""
import os, subprocess, time
def test_a():
    open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}} {{subprocess.Popen(['sleep', '600']).pid}}")
    time.sleep(600)
""")
    tester = testrunner.Tester([path])
    with pytest.raises(TestsFailed, match=r"did not end within 4 s"):
        tester.run(CONTEXT, echo, lambda _: None, limit=4)
    for pid in (tmp_path / "pids").read_text().split():
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z", pid


def test_a_child_that_is_left_behind_does_not_hold_the_run(tmp_path: Path) -> None:
    """A process that a test left running with pytest's output open is ended with it."""
    text = "def test_a(capfd):\n    with capfd.disabled():\n        subprocess.Popen(['sleep', '600'])\n"
    begin = time.monotonic()
    outcome, _ = play(tmp_path, "import subprocess\n" + text)
    assert (outcome.exit_code, len(outcome.tests)) == (0, 1)
    assert time.monotonic() - begin < 60


def test_files_belong_to_stages_by_their_names(tmp_path: Path) -> None:
    """The generic file comes first, then the recipe's own of that stage; everything else is custom."""
    (tmp_path / "deep").mkdir()
    names = "test_install.py test_install_more.py test_upgrade.py test_backup.py test_restore_1.py test_x.py x.py"
    for name in (*names.split(), "deep/test_y.py", "hooks.py"):
        (tmp_path / name).touch()

    def own(stage: str) -> list[str]:
        generic, *rest = testrunner.files_of_stage(stage, tmp_path)
        assert generic.is_file()
        return [path.relative_to(tmp_path).as_posix() for path in rest]

    assert own("install") == ["test_install.py", "test_install_more.py"]
    assert own("upgrade") == ["test_upgrade.py"]
    assert (own("backup"), own("restore")) == (["test_backup.py"], ["test_restore_1.py"])
    assert own("custom") == ["deep/test_y.py", "test_x.py"]
    assert len(testrunner.files_of_stage("custom", None)) == 1
