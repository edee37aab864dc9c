"""The one error the local stack raises; its text says what is wrong and what to do."""


class StackError(Exception):
    """Something in the local stack cannot be started, found or used."""
