"""Shared code: array libraries, shapes, results, errors, checks, threads."""
