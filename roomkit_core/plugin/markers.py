"""The two marks of pluggy, for the project ``roomkit``."""

from __future__ import annotations

from typing import Final

import pluggy

PROJECT: Final = "roomkit"

hookspec = pluggy.HookspecMarker(PROJECT)
"""Marks what a plugin may implement; used by the core alone."""

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's implementation of one of :mod:`roomkit_core.plugin.specs`."""
