"""Errors of the command line."""


class UsageError(ValueError):
    """What the command line asks for makes no sense, whatever the files hold."""
