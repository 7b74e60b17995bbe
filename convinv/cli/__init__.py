"""The command ``convinv``: one file for each of its commands."""

from ._main import main
