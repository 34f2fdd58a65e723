"""Names that come from outside, checked once and then trusted.

Every function here returns the name it was given (or one made from it) or raises UsageError. Nothing else in
ccci may build a path, an argument list or a docker name from text that did not pass through here.
"""

from __future__ import annotations

import re
import secrets

from ccci.errors import UsageError

STACK_NAME_MAX = 45  # characters; abra cuts here so that `<stack>_<secret>_<version>` fits into 64
RESOURCE_NAME_MAX = 64  # characters; swarm refuses longer names of configs and secrets
_GIT_REF_MAX = 200
_SHOWN_MAX = 80

_RECIPE = re.compile(r"[a-z0-9][a-z0-9-]{0,61}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_STACK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
_HEX6 = re.compile(r"[0-9a-f]{6}")
_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.-]{1,100}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_GIT_BAD = re.compile(r"\.\.|@\{|//|[\x00-\x20\x7f-\xa0:\\^~?*\[]")


def shown(text: object) -> str:
    """Show a bad value in a message: ASCII only, no control characters, cut at 80 characters.

    Args:
        text: the value as it came in.

    Returns:
        Its repr, safe for any terminal or log.
    """
    value = ascii(text)
    return value if len(value) <= _SHOWN_MAX else f"{value[:_SHOWN_MAX]}..."


def _refuse(text: object, what: str, rule: str) -> UsageError:
    return UsageError(f"{what}: {shown(text)} cannot be used", hint=rule)


def recipe_name(text: str, *, what: str = "recipe") -> str:
    """Check the name of a recipe.

    Args:
        text: the name.
        what: where it came from, such as ``--recipe``; it starts the message.

    Returns:
        The same name.

    Raises:
        UsageError: it is not 1 to 62 of ``a-z0-9-``, starts or ends with a hyphen, or has two in a row.
    """
    if not _RECIPE.fullmatch(text) or "--" in text or text.endswith("-"):
        raise _refuse(text, what, "a recipe's name is lower-case letters, digits and single hyphens inside")
    return text


def git_ref(text: str, *, what: str = "ref") -> str:
    """Check a commit, tag or branch before git sees it.

    Args:
        text: the ref; a ``+`` is fine, since released versions are tags ``X.Y.Z+app``.
        what: where it came from, such as ``--ref``.

    Returns:
        The same ref.

    Raises:
        UsageError: git could take it for an option, a range, a path or an expression, or it is no legal ref.
    """
    parts = text.split("/")
    legal = not any(part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    clean = not _GIT_BAD.search(text) and text.isprintable() and not text.startswith(("-", "/"))
    if not text or len(text) > _GIT_REF_MAX or not legal or not clean or text.endswith("/") or text == "@":
        raise _refuse(text, what, "give a commit, a tag or a branch, such as 1.2.0+4.5.6 or main")
    return text


def repository(text: str, *, what: str = "repository") -> str:
    """Check the name of a repository at a forge.

    Args:
        text: `owner/name`.
        what: where it came from.

    Returns:
        The same name.

    Raises:
        UsageError: it is not of that form; no part can be a path's `.` or `..`.
    """
    if not _REPOSITORY.fullmatch(text) or text.partition("/")[2] in (".", ".."):
        raise _refuse(text, what, "give owner/name, as the forge has it")
    return text


def pull_request(text: str, *, what: str = "--pr") -> int:
    """Check the number of a pull request.

    Args:
        text: the number, as people write it.
        what: where it came from.

    Returns:
        The number, 1 or more.

    Raises:
        UsageError: it is none.
    """
    if not _NUMBER.fullmatch(text):
        raise _refuse(text, what, "give the number of a pull request, such as 7")
    return int(text)


def domain(text: str, *, what: str = "domain") -> str:
    """Check a DNS name.

    Args:
        text: the name; upper case is folded, a trailing dot is refused.
        what: where it came from.

    Returns:
        The name in lower case.

    Raises:
        UsageError: it is no DNS name of at least two labels and at most 253 characters.
    """
    name = text.lower()
    labels = name.split(".")
    if len(labels) < 2 or not _dns(name) or labels[-1].isdigit():  # noqa: PLR2004 - a label and a zone
        raise _refuse(text, what, "give a full DNS name, such as app.example.org")
    return name


_checked_domain = domain  # for functions that have an argument of that name


def host_name(text: str, *, what: str = "host") -> str:
    """Check the name or address under which a host is reached.

    Args:
        text: a DNS name of any number of labels, or an IP address.
        what: where it came from.

    Returns:
        The name in lower case.

    Raises:
        UsageError: it is neither.
    """
    name = text.lower()
    if not _dns(name) and not (":" in name and re.fullmatch(r"[0-9a-f:.]{2,45}", name)):
        raise _refuse(text, what, "give a DNS name or an IP address")
    return name


def _dns(name: str) -> bool:
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))  # noqa: PLR2004


def volume_name(text: str, *, what: str = "volume") -> str:
    """Check the name of a docker volume, by docker's own rule.

    Args:
        text: the name.
        what: where it came from.

    Returns:
        The same name.

    Raises:
        UsageError: docker would refuse it or take it for a path.
    """
    if not _VOLUME.fullmatch(text):
        raise _refuse(text, what, "a volume's name is letters, digits, '_', '.' and '-', starting with the first two")
    return text


def stack_name(domain: str, override: str | None = None) -> str:
    """Name the stack of an app as abra does.

    Args:
        domain: the app's domain; dots become underscores, hyphens stay.
        override: STACK_NAME of the app's env file, or None.

    Returns:
        The override as it is, or the name made from the domain, cut at 45 characters.

    Raises:
        UsageError: the override is not a name that docker takes, or the domain is none.
    """
    if override:  # never cut: a cut one would make us look at another stack than the operator's
        if not _STACK.fullmatch(override):
            raise _refuse(override, "STACK_NAME in the env file", "use at most 63 letters, digits, '_' and '-'")
        return override
    return _checked_domain(domain).replace(".", "_")[:STACK_NAME_MAX]


def same_stack(a_domain: str, b_domain: str) -> bool:
    """Tell whether two domains would be one stack, because the cut at 45 characters makes them one.

    Args:
        a_domain: one domain.
        b_domain: another.

    Returns:
        True if docker could not keep them apart.
    """
    return stack_name(a_domain) == stack_name(b_domain)


def warm_domain(recipe: str, base: str) -> str:
    """Name the domain of a recipe's canonical.

    Args:
        recipe: the recipe.
        base: the host's base domain.

    Returns:
        ``warm-<recipe>.<base>``.

    Raises:
        UsageError: either name is wrong, or the whole is too long for DNS.
    """
    return _checked_domain(f"warm-{recipe_name(recipe)}.{base}")


def cold_domain(recipe: str, hex6: str, base: str) -> str:
    """Name the domain of one cold run.

    Args:
        recipe: the recipe.
        hex6: six hex digits from `new_hex`.
        base: the host's base domain.

    Returns:
        ``<first four of the recipe>-<hex6>.<base>``.

    Raises:
        UsageError: any of the three is wrong.
    """
    if not _HEX6.fullmatch(hex6):
        raise _refuse(hex6, "run id", "six lower-case hex digits are needed")
    return _checked_domain(f"{recipe_name(recipe)[:4].rstrip('-')}-{hex6}.{base}")


def new_hex() -> str:
    """Make the part of a name that tells one run from another.

    Returns:
        Six random hex digits.
    """
    return secrets.token_hex(3)
