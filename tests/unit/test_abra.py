"""abra.sh, never run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ccci.model.abra import exports

SCRIPT = """\
#!/bin/bash
export APP_CONF_VERSION=v3
export A="v 1" B='$x'   # two in a line
export EMPTY=
export CONTINUED=1 \\
  MORE=2
  export INDENTED=1
export COMMAND=$(id) TICKS=`id`
export TWO=1; rm -rf /
export REFERS="$HOME"
export PIPED=a|b
export NOVALUE
setup() {
export IN_FUNCTION=1
  if true; then
  }
}
function other {
  export IN_OTHER=1
}
one_line() { echo; }
export AFTER=1
cat <<EOF
export IN_DOCUMENT=1
EOF
export LAST='x'
export LAST=y
"""


def test_only_plain_exports_count() -> None:
    """Plain exports are read; what is in functions or here-documents or needs a shell is not."""
    assert exports(SCRIPT) == {
        "APP_CONF_VERSION": "v3",
        "A": "v 1",
        "B": "$x",
        "EMPTY": "",
        "CONTINUED": "1",
        "MORE": "2",
        "AFTER": "1",
        "LAST": "y",
    }


def test_windows_line_ends() -> None:
    """A file with CRLF gives values without CR."""
    assert exports("export A=1\r\nexport B='2'\r\n") == {"A": "1", "B": "2"}


@given(
    st.text()
    | st.lists(st.sampled_from(["export ", "A=", "'", '"', "f() {", "}", "\n", "$(", "<<E", "\\", " "])).map("".join)
)
def test_values_never_need_a_shell(text: str) -> None:
    """Whatever the file holds, reading it raises nothing, and values are one line of the text itself."""
    for name, value in exports(text).items():
        assert name.isidentifier()
        assert value in text
        assert not set(value) & set("\n`")
