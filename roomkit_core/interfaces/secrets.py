"""Where secrets are kept outside of the configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod


class SecretStore(ABC):
    """Gives secrets by reference; a component of kind ``secret``.

    In a configuration ``{ NAME = "reference" }`` is what the store NAME has under that reference. NAME is the id of a
    section ``[secrets.NAME]``, or the name of a component that needs no settings.
    """

    @abstractmethod
    def get(self, reference: str) -> str:
        """The secret.

        Called while the configuration is read, before an event loop runs; it may block.

        Args:
            reference: Whatever names a secret in this store. It is no secret itself, and is shown to people.

        Raises:
            RoomKitError: There is none, or it cannot be had; message and hint are shown to people.
            Exception: The same; of another exception only the type is shown.
        """
