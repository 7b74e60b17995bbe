"""The command ``convinv demo``."""
