"""What somebody asks for: checked before anything is done."""

from __future__ import annotations

import itertools

import pytest

from ccci import errors
from ccci.engine.request import make_request, request_from_environment, skip_fetch
from ccci.errors import UsageError


@pytest.mark.parametrize(
    ("environ", "playbook"),
    [
        ({}, "cold"),
        ({"CCCI_QUICK": "1"}, "quick"),
        ({"CCCI_QUICK": "TRUE"}, "quick"),
        ({"CCCI_QUICK": "0"}, "cold"),
        ({"CCCI_QUICK": ""}, "cold"),
        ({"CCCI_QUICK": "perhaps"}, "cold"),
        ({"MODE": "quick"}, "quick"),
        ({"MODE": "Quick"}, "quick"),
        ({"MODE": "cold"}, "cold"),
        ({"MODE": "cold", "CCCI_QUICK": "1"}, "cold"),
        ({"MODE": ""}, "cold"),
    ],
)
def test_the_environment_chooses_the_lane(environ: dict[str, str], playbook: str) -> None:
    """The cold lane unless the quick one is clearly asked for; MODE decides over CCCI_QUICK."""
    assert request_from_environment({"RECIPE": "blog", **environ}).playbook == playbook


def test_the_environment_gives_all_the_rest() -> None:
    """RECIPE, REF, STAGES and CCCI_SKIP_FETCH arrive; stages come in their own order."""
    made = request_from_environment(
        {"RECIPE": "blog", "REF": "feature/x", "STAGES": "custom, install", "CCCI_SKIP_FETCH": "yes"}
    )
    assert (made.recipe, made.ref, made.stages) == ("blog", "feature/x", ("install", "custom"))
    assert made.skip_fetch


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "RECIPE is not set"),
        ({"RECIPE": ""}, "RECIPE is not set"),
        ({"RECIPE": "../etc"}, "cannot be used"),
        ({"RECIPE": "Blog"}, "cannot be used"),
        ({"RECIPE": "blog", "MODE": "fast"}, "MODE='fast'"),
        ({"RECIPE": "blog", "REF": "--upload-pack=x"}, "cannot be used"),
        ({"RECIPE": "blog", "REF": "a..b"}, "cannot be used"),
        ({"RECIPE": "blog", "REF": "a\nb"}, "cannot be used"),
        ({"RECIPE": "blog", "STAGES": "install,deploy"}, "unknown stage 'deploy'"),
        ({"RECIPE": "blog", "STAGES": "install,restore"}, "what the stage backup saved"),
    ],
)
def test_bad_values_are_refused(environ: dict[str, str], says: str) -> None:
    """A bad name, ref, lane or stage is a UsageError that names it and says what to do."""
    with pytest.raises(UsageError) as caught:
        request_from_environment(environ)
    assert says in caught.value.what
    assert caught.value.hint


def test_no_stage_named_means_all() -> None:
    """No stages, or only commas, ask for everything that the recipe has."""
    assert make_request("cold", recipe="blog").stages == ()
    assert make_request("cold", recipe="blog", stages=" , ").stages == ()


@pytest.mark.parametrize(("value", "is_true"), [("1", True), ("On", True), ("0", False), ("no", False), ("", False)])
def test_skip_fetch_reads_common_forms(value: str, is_true: bool) -> None:
    """The usual words for yes are yes, everything else is no."""
    assert skip_fetch({"CCCI_SKIP_FETCH": value}) is is_true


def _tree(root: type[errors.CcciError]) -> list[type[errors.CcciError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _tree(child))]


@pytest.mark.parametrize("kind", _tree(errors.CcciError), ids=lambda kind: str(kind.__name__))
def test_every_error_has_its_code_in_the_drawing(kind: type[errors.CcciError]) -> None:
    """The tree in the docstring of errors names each error with the exit code that it really has."""
    drawn = dict(found for line in (errors.__doc__ or "").splitlines() if (found := _named(line)))
    if kind is errors.Stopped:
        assert drawn["Stopped"] == "130/143"
        assert [errors.Stopped(signum).exit_code for signum in (2, 15)] == [130, 143]
    else:
        assert drawn[kind.__name__] == str(kind.exit_code)


def _named(line: str) -> tuple[str, str] | None:
    """Return the error that a line of the drawing names and its exit code."""
    found = line.split()
    pairs = itertools.pairwise(found)
    return next(((name, code) for name, code in pairs if hasattr(errors, name) and code[0].isdigit()), None)


def test_an_error_carries_what_a_reader_needs() -> None:
    """What, hint and detail are kept apart, and the text of the exception is what."""
    error = errors.GateFailed("service app is down", hint="look", detail="log")
    assert (str(error), error.hint, error.detail) == ("service app is down", "look", "log")
