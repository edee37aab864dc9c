"""What can go wrong with the store."""


class StoreUnavailable(Exception):
    """The store does not answer, or not in time: whether a write took place is unknown until it is read again."""
