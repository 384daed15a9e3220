"""What can be wrong with the store, for the one who must act: the operator."""

from __future__ import annotations


class StoreError(Exception):
    """The store can't be used; the message says which file, and what to do."""


class StoreBusy(StoreError):
    """Another process held the store's write lock until the deadline."""


class StoreNewer(StoreError):
    """The store was written by a newer version of this program."""


class NoStore(StoreError):
    """There is no store yet: nothing was ever written."""
