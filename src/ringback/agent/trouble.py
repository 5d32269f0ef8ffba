"""What can go wrong, each as one sentence for whoever holds the phone. No token and no number stands in any."""

from __future__ import annotations


class Trouble(Exception):
    """Something could not be done now; what was read is kept. Exit code 1."""

    def __init__(self, sentence: str) -> None:
        # A part of it may come from a server: control characters and half characters need not reach a terminal.
        self.sentence = "".join(c if c.isprintable() else "?" for c in sentence)
        super().__init__(self.sentence)


class UsageTrouble(Trouble):
    """The command was called wrongly. Exit code 2."""


class LogTrouble(Trouble):
    """The call log could not be read; nothing advances. `permission` is `denied` where Android refused it."""

    def __init__(self, sentence: str, permission: str = "unknown") -> None:
        super().__init__(sentence)
        self.permission = permission


class ServerTrouble(Trouble):
    """The server can't be reached or does not accept. `status` is 0 where it did not answer."""

    def __init__(self, sentence: str, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after_s = retry_after_s
