"""The first process of a fake host, in namespaces of its own: mounts, network, engine, and an sshd for each connection.

Reads words from standard input: `cut` ends all connections and refuses new ones, `mend` takes them again,
`engine` restarts the engine. When standard input ends, so does the host.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
HIDDEN = (".abra", ".bashrc", ".profile", ".gitconfig", ".ssh", ".config/git")
_MOUNTS = """
set -e; disk=$1; mount --make-rprivate /; mount -t proc proc /proc
mkdir -p $disk/lib/docker/volumes $disk/srv/git $disk/root/up $disk/root/work
mount -t tmpfs tmpfs /run; mkdir -p /run/sshd /run/lock /run/keys; cp $2/keys/* /run/keys
mount -t overlay overlay -o lowerdir=/root,upperdir=$disk/root/up,workdir=$disk/root/work /root
if [ ! -e $disk/made ]; then (cd /root; rm -rf $3); mkdir -p /root/.abra/recipes /root/.abra/servers/default; fi
mount --bind $disk/lib /var/lib; mount --bind $disk/srv /srv; touch $disk/made
"""


def lo_up() -> None:
    """Bring the loopback interface up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))


class Init:
    """The host."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        """Remember where things lie."""
        self.folder, self.listener = folder, listener
        self.cut = False
        self.sessions: list[subprocess.Popen[bytes]] = []
        self.engine: subprocess.Popen[bytes] | None = None

    def start_engine(self) -> None:
        """Start the engine, or start it again."""
        if self.engine is not None:
            self.engine.kill()
            self.engine.wait()
        with (self.folder / "engine.log").open("ab") as log:
            words = [sys.executable, "-m", "tests.support.fakehost.api"]
            self.engine = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    def accept(self) -> None:
        """Give every connection an sshd."""
        while True:
            link, _ = self.listener.accept()
            with link, (self.folder / "sshd.log").open("ab") as log:
                if not self.cut:
                    words = ["/usr/sbin/sshd", "-i", "-e", "-f", str(self.folder / "sshd_config")]
                    wire = link.fileno()
                    self.sessions.append(subprocess.Popen(words, stdin=wire, stdout=wire, stderr=log))
            self.sessions = [s for s in self.sessions if s.poll() is None]

    def obey(self) -> None:
        """Do what standard input says until it ends."""
        for word in sys.stdin:
            if word.strip() == "engine":
                self.start_engine()
            self.cut = word.strip() == "cut"
            for session in self.sessions if self.cut else ():
                for pid in [*_children(session.pid), session.pid]:
                    _kill(pid)
            sys.stdout.write("done\n")
            sys.stdout.flush()


def _children(pid: int) -> list[int]:
    """Return the sshd processes below one: those that hold the connection."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text("utf-8")
        except OSError:
            continue
        if "(sshd" in text and int(text.rpartition(")")[2].split()[1]) in (pid, *found):
            found.append(int(entry.parent.name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _bury(child: int) -> None:
    """Bury orphans, which the first process of a host inherits, until its own child has ended."""
    while os.wait()[0] != child:
        pass


def main() -> None:
    """Be the host until standard input ends."""
    if child := os.fork():
        _bury(child)
        return
    folder, listener = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    subprocess.run(["/bin/sh", "-c", _MOUNTS, "-", str(folder / "disk"), str(folder), " ".join(HIDDEN)], check=True)
    lo_up()
    listener.settimeout(None)  # gevent made it otherwise
    init = Init(folder, listener)
    init.start_engine()
    threading.Thread(target=init.accept, daemon=True).start()
    sys.stdout.write("up\n")
    sys.stdout.flush()
    init.obey()


if __name__ == "__main__":
    main()
