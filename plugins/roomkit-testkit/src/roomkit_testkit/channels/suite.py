"""All that a channel has to do which owes messages to a provider with an HTTP API, in one class."""

from __future__ import annotations

from roomkit_testkit.channels.announcing import AnnouncingSuite
from roomkit_testkit.channels.carrying import CarryingSuite
from roomkit_testkit.channels.sending import SendingSuite


class ChannelSuite(AnnouncingSuite, CarryingSuite, SendingSuite):
    """Subclass it, and say in its attributes how the provider answers; see :class:`ChannelContract`.

    The provider is one of the suite's own, on a real socket. A channel whose provider speaks something else overrides
    the fixture ``provider`` with an object that has the attributes and methods of :class:`HTTPProvider` and makes of
    each :class:`Answer` what comes closest.

    Tests are asynchronous by anyio's own plugin (``anyio_mode = "auto"``), on the loops of the fixture
    ``anyio_backend``. A subclass may not replace any of them.
    """
