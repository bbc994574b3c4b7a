"""The keys that an issuer publishes, asked for with patience also while it is out of order. Imports PyJWT."""

from __future__ import annotations

from time import monotonic
from typing import Any

from jwt import PyJWKClient, PyJWKClientConnectionError


class KeySet(PyJWKClient):
    """PyJWT's client, whose pause between two questions follows a question that failed, too.

    Otherwise each token that names an unknown key asks again, and whoever has one waits for what strangers asked.
    """

    _failed = float("-inf")

    def fetch_data(self) -> Any:
        """Ask the issuer.

        Raises:
            PyJWKClientConnectionError: It does not answer with JSON, or did not a moment ago.
        """
        if monotonic() - self._failed < self.cooldown_duration:
            raise PyJWKClientConnectionError("the issuer did not answer a moment ago")
        try:
            return super().fetch_data()
        except ValueError as error:  # no JSON
            self._failed = monotonic()
            raise PyJWKClientConnectionError("the issuer does not answer with JSON") from error
        except Exception:  # whatever it was: nobody asks again before the pause is over
            self._failed = monotonic()
            raise
