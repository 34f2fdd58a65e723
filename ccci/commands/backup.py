"""A backup as shell text: hooks in containers, an archive of each path with the sums of its files, and back.

What lies in a container is read and written by `docker cp` only, which resolves links within the container: a link
that a recipe put into a volume leads nowhere on the host.
"""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath

from ccci.commands import docker
from ccci.commands.shell import Argv, argv, quote

FAULT = "fault:"  # begins a line that says what is wrong with a saved file
COUNT = "count:"  # begins the line with the number of files and their bytes
_HOOK = """
if command -v bash >/dev/null 2>&1; then exec bash -o pipefail -c "$1"; else exec sh -c "$1"; fi
"""

# Arguments: the archive, where sums go, a folder that may be made, whether one named path was saved, since when the
# hook may have written. A dump is told by its first lines, since tools write them together with the last one.
_LOOK = r"""
set -euo pipefail
archive=$1 sums=$2 check=$3 named=$4 since=$5
head=$check.head tail=$check.tail why=$check.why
rm -rf "$check"; mkdir "$check"; trap 'rm -rf "$check" "$head" "$tail" "$why"' EXIT
zstd -q -d -c "$archive" | tar -x --no-same-owner --no-same-permissions -C "$check"
chmod -R u+rwX "$check"; cd "$check"
find . -type f -print0 | sort -z | xargs -0 -r sha256sum >"$sums.new"
sync -d "$sums.new"; mv -T "$sums.new" "$sums"
find . -type f -printf '%s\n' | awk '{n++; s += $1} END {printf "count: %d %d\n", n, s}'
plain() {
  case $1 in
  *.gz | *.tgz) gzip -dc -- "$1" ;;
  *.zst) zstd -q -dc -- "$1" ;;
  *.xz) xz -dc -- "$1" ;;
  *.bz2) bzip2 -dc -- "$1" ;;
  *) cat -- "$1" ;;
  esac
}
look() {
  file=$1
  if [ ! -s "$file" ]; then echo "fault: $file is empty"; return; fi
  plain "$file" 2>/dev/null | head -c 4096 >"$head" || true
  if ! plain "$file" 2>"$why" | tail -c 4096 >"$tail"; then
    echo "fault: $file is damaged: $(head -1 "$why")"
  elif grep -aqE '^-- (MariaDB|MySQL) dump ' "$head"; then
    grep -aqE '^-- Dump completed' "$tail" || echo "fault: $file is cut short: a dump ends with '-- Dump completed'"
  elif grep -aqE '^-- PostgreSQL database (cluster )?dump' "$head"; then
    grep -aqE '^-- PostgreSQL database (cluster )?dump complete' "$tail" ||
      echo "fault: $file is cut short: a dump ends with '-- PostgreSQL database dump complete'"
  fi
  case $file in
  *.tar | *.tar.* | *.tgz) plain "$file" 2>/dev/null | tar -t >/dev/null 2>&1 || echo "fault: $file is no whole tar" ;;
  esac
}
dumps=(-name '*.sql' -o -name '*.sql.*' -o -name '*.tar' -o -name '*.tar.*' -o -name '*.tgz' -o -name '*.gz')
{ [ "$named" = 1 ] && find . -maxdepth 1 -type f -print0
  find . -type f -newermt "@$since" \( "${dumps[@]}" \) -print0; } | sort -z -u |
while IFS= read -r -d '' file; do look "$file"; done
"""


def hook(container: str, script: str) -> Argv:
    """Run a hook in a container; where the container has bash, a failure within a pipe is one of the hook."""
    return docker.execute(container, argv("sh", "-c", _HOOK, "ccci-hook", script), stdin=False)


def _within(path: str, *, whole: bool) -> str:
    return f"{path}/." if whole else path


def _beside(path: str, *, whole: bool) -> str:
    return path if whole else posixpath.dirname(path)


def save(container: str, path: str, archive: PurePosixPath, *, whole: bool) -> str:
    """Write the archive of a path of a container; `whole` means the content of that folder."""
    source = quote(argv("docker", "cp", f"{container}:{_within(path, whole=whole)}", "-"))
    new = quote(argv(f"{archive}.new"))
    text = f"{source} | zstd -q -T0 -1 -f -o {new} && sync -d {new} && mv -T {new} {quote([str(archive)])}"
    return quote(argv("bash", "-o", "pipefail", "-c", text))


def examine(archive: PurePosixPath, *, named: bool, since: float) -> str:
    """Read an archive back: write the sums of its files, print their number and bytes, and what is wrong with them.

    Args:
        archive: the archive.
        named: whether its one path was named, so that a file is a dump whatever it is called.
        since: when hooks began, in seconds since the epoch: a dump that they wrote is newer.
    """
    words = (archive, f"{archive}.sums", f"{archive}.check", int(named), f"{since:.3f}")
    return quote(argv("bash", "-c", _LOOK, "ccci-backup", *words))


def put_back(container: str, path: str, archive: PurePosixPath, *, whole: bool) -> str:
    """Put what an archive holds back into a container; files that it does not hold stay."""
    read = quote(argv("zstd", "-q", "-d", "-c", archive))
    write = quote(argv("docker", "cp", "-", f"{container}:{_beside(path, whole=whole)}"))
    return quote(argv("bash", "-o", "pipefail", "-c", f"{read} | {write}"))


# Arguments: sums, a folder that may be made, since when the app may have changed files itself, where they are.
_COMPARE = r"""
set -euo pipefail
sums=$1 check=$2 since=$3 from=$4
rm -rf "$check"; mkdir "$check"; trap 'rm -rf "$check"' EXIT
docker cp "$from" - | tar -x --no-same-owner --no-same-permissions -C "$check"
chmod -R u+rwX "$check"; cd "$check"
[ ! -s "$sums" ] || { LC_ALL=C sha256sum --quiet -c "$sums" 2>/dev/null || true; } |
sed -n 's/: FAILED.*$//p' | while IFS= read -r file; do
  [ -n "$(find "$file" -newermt "@$since" 2>/dev/null)" ] || echo "$file"
done
"""


def compare(container: str, path: str, archive: PurePosixPath, *, whole: bool, since: float) -> str:
    """Print the files of an archive that are not in the container, or are others there.

    One that the app itself has written since the restore began (seconds since the epoch) is no difference.
    """
    words = (f"{archive}.sums", f"{archive}.check", f"{since:.3f}", f"{container}:{_within(path, whole=whole)}")
    return quote(argv("bash", "-c", _COMPARE, "ccci-backup", *words))
