"""Build the images of the lab from package registries, once: an archive per image in the cache."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ccci.errors import UsageError
from ccci.lab import archive, images, process
from ccci.paths import controller_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SCRIPTS = Path(__file__).parent / "scripts"
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
FORMAT = "1"  # raise when what this file makes of the same inputs changes


@frozen
class ImageSpec:
    """How an image is made.

    Attributes:
        reference: name and tag; the tag is the version that is really inside.
        inputs: everything that the content depends on; a change makes a new build.
        build: writes the tar of the root file system; gets (work folder, log file, tar file).
        config: the container configuration of the image.
    """

    reference: str
    inputs: tuple[str, ...]
    build: Callable[[Path, Path, Path], None]
    config: Mapping[str, Any] = field(factory=dict)

    @property
    def key(self) -> str:
        """The hash of its inputs, in the name of its archive."""
        text = "\0".join((FORMAT, self.reference, *self.inputs, repr(sorted(self.config.items()))))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def archive(self) -> Path:
        """Where its archive lies, or will lie."""
        return image_cache() / f"{self.reference.replace('/', '_').replace(':', '_')}-{self.key}.tar"


def image_cache() -> Path:
    """The folder of the archives."""
    return controller_cache() / "lab" / "images"


def logs() -> Path:
    """The folder of the logs of builds."""
    return controller_cache() / "lab" / "logs"


def registry() -> dict[str, ImageSpec]:
    """Every image that the lab can build, by reference."""
    found: dict[str, ImageSpec] = {}
    for module in pkgutil.iter_modules(images.__path__):
        specs: Sequence[ImageSpec] = importlib.import_module(f"{images.__name__}.{module.name}").SPECS
        found.update({spec.reference: spec for spec in specs})
    return found


def spec(reference: str) -> ImageSpec:
    """The image of a reference.

    Raises:
        UsageError: the lab has no builder for it.
    """
    known = registry()
    if reference not in known:
        raise UsageError(f"the lab cannot build the image {reference}", hint=f"it has {', '.join(sorted(known))}")
    return known[reference]


def ensure_archive(image: ImageSpec) -> Path:
    """The archive of an image, built if it is not in the cache; older builds of it are removed.

    Raises:
        CommandFailed: the build failed; names its log.
    """
    target = image.archive
    if target.exists():
        return target
    with process.locked(target.with_suffix(".lock")):
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix="build-", dir=image_cache()) as folder:
                rootfs = Path(folder) / "rootfs.tar"
                log = logs() / f"{target.stem}.log"
                image.build(Path(folder), log, rootfs)
                archive.write(rootfs, image.reference, image.config, target)
            _remove_older(target)
    target.with_suffix(".lock").unlink(missing_ok=True)
    return target


def _remove_older(target: Path) -> None:
    stem = target.name.rpartition("-")[0]
    for other in target.parent.glob(f"{stem}-*.tar"):
        if other != target:
            other.unlink(missing_ok=True)


def script(name: str) -> str:
    """The text of a build script, as an input of a key."""
    return (SCRIPTS / name).read_text()


def debian(suite: str, packages: Sequence[str], customize: str, *arguments: str) -> Callable[[Path, Path, Path], None]:
    """A builder: a small Debian with some packages, then one of our scripts on its tree.

    Args:
        suite: the Debian release.
        packages: what to install beside the least that a Debian has.
        customize: the script's name; it gets the tree's root and the arguments.
        *arguments: what the script gets after that.
    """

    def build(_folder: Path, log: Path, target: Path) -> None:
        run_mmdebstrap(suite, packages, [customize, *arguments], log=log, target=target)

    return build


def run_mmdebstrap(suite: str, packages: Sequence[str], customize: Sequence[str], *, log: Path, target: Path) -> None:
    """Build the tar of a Debian tree.

    Args:
        suite: the Debian release.
        packages: what to install.
        customize: our script's name and its arguments after the tree's root.
        log: where the output goes.
        target: the tar.

    Raises:
        CommandFailed: the build failed; names the log.
    """
    hook = ["sh", "-eu", str(SCRIPTS / customize[0])]
    quoted = " ".join(map(shlex.quote, hook)) + ' "$1" ' + " ".join(map(shlex.quote, customize[1:]))
    argv = ["mmdebstrap", "--variant=minbase", "--format=tar", f"--include={','.join(packages)}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    # Java's packages link manuals into this folder, whether there are any or not
    argv += ['--essential-hook=mkdir -p "$1/usr/share/man/man1"']
    argv += [f"--customize-hook={quoted}", suite, str(target)]
    process.run_logged(argv, log, what=f"building a Debian {suite} tree")
