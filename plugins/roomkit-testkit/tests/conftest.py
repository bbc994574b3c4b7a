"""A bot in a file of its own, on both event loops."""

from __future__ import annotations

from tests.conftest import anyio_backend as anyio_backend
from tests.support.bots import bot_file as bot_file
