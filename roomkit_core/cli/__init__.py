"""The ``roomkit`` command. It needs the extra ``roomkit-core[cli]``, and says so where that is missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command with the arguments of this process."""
    try:
        import typer  # noqa: F401 (only whether it is there)
    except ImportError:
        sys.stderr.write("The roomkit command needs typer and rich: pip install 'roomkit-core[cli]'\n")
        raise SystemExit(2) from None
    from roomkit_core.cli.app import app

    app()
