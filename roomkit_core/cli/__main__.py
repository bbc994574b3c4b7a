"""``python -m roomkit_core.cli`` is the ``roomkit`` command."""

from roomkit_core.cli import main

main()
