"""What can go wrong with keys and seals. Texts never quote what was sealed."""


class CryptoError(Exception):
    """The base."""


class KeyringError(CryptoError):
    """The master keys cannot be used; the text says what to mend."""


class KeyServiceUnavailable(KeyringError):
    """The key management service does not answer now: trying again may help, mending a setting does not."""


class SealBroken(CryptoError):
    """A ciphertext does not open: it was changed, moved from its place, or belongs to another key."""

    def __init__(self) -> None:
        super().__init__("a sealed value does not open in this place")


class KeyDestroyed(CryptoError):
    """The data key is gone, and with it what it sealed."""

    def __init__(self) -> None:
        super().__init__("the data key was destroyed")
