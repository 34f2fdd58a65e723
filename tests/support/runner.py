"""A program that starts ccci again and again by forking, so that nothing is imported twice, and breaks runs at a point.

Reads requests from standard input, one JSON text a line: argv, env, out (a file for what it prints), point: after how
many steps or commands on the host (unit) the run stands still, or after which step by a part of its title, 0 for
never. There it makes the file `<out>.reached`
and waits for `<out>.go`; at its end it writes how many it did to `<out>.count`. Writes each run's process id, and its
exit code when it has ended.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from ccci.cli.main import main as ccci_main  # noqa: E402
from ccci.connector import CcciConnector  # noqa: E402
from ccci.events import Event, StepEnded, Stream  # noqa: E402

_SLEEP = monkey.get_original("time", "sleep")


class Breaker:
    """Counts what a run does, and stops the clock at its point."""

    def __init__(self, kind: str, point: int | str, out: str) -> None:
        """Watch steps or commands."""
        self.point, self.out, self.done = point, out, 0
        if kind == "steps":
            self._watch_steps()
        else:
            self._watch_commands()

    def _watch_steps(self) -> None:
        send = Stream.send

        def sent(stream: Stream, event: Event) -> None:
            send(stream, event)
            if isinstance(event, StepEnded):
                self.count(event.result.name)

        Stream.send = sent  # type: ignore[method-assign, assignment]

    def _watch_commands(self) -> None:
        execute = CcciConnector._execute

        def executed(connector: CcciConnector, text: str, stdin: Any, **arguments: Any) -> Any:
            outcome = execute(connector, text, stdin, **arguments)
            self.count()
            return outcome

        CcciConnector._execute = executed  # type: ignore[assignment]

    def count(self, name: str = "") -> None:
        """Count one more; at the point, the first time, wait for whoever breaks things."""
        self.done += 1
        here = self.point in name if isinstance(self.point, str) else self.done == self.point
        if here and not Path(f"{self.out}.reached").exists():
            Path(f"{self.out}.reached").touch()
            while not Path(f"{self.out}.go").exists():
                _SLEEP(0.01)


def _be_a_run(request: dict[str, Any]) -> None:
    handle = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.setsid()
    os.environ.update(request["env"])
    sys.argv = ["ccci", *request["argv"]]
    breaker = Breaker(request["unit"], request["point"], request["out"])
    code: Any = 70
    try:
        ccci_main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001  (told, and red)
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    Path(f"{request['out']}.count").write_text(str(breaker.done), "utf-8")
    os._exit(code or 0)


def _answer(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until standard input ends."""
    _answer("ready")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _be_a_run(request)
        _answer(child)
        _answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
