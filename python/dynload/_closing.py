"""Objects that are closed at the end of a `with` block."""

from __future__ import annotations

from typing import TypeVar

Self = TypeVar("Self", bound="Closing")


class Closing:
    """An object that `close` releases."""

    def close(self) -> None:
        """Releases the object; it cannot be used from then on."""
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
