"""Which commits are measured: full hashes, the newest first."""

import subprocess

from .defaults import ROOT


class NoCommit(ValueError):
    """A name, number or range that selects no commit."""


def git(*arguments, root=ROOT):
    """Lines of a git command's output."""
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoCommit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.split()


def last(count, root=ROOT):
    """The last commits of the present branch, without those merged into it."""
    return git("rev-list", "--first-parent", f"--max-count={count}", "HEAD", root=root)


def tagged(root=ROOT):
    """The tagged commits in the history of the present one."""
    tags = git("tag", "--merged", "HEAD", root=root)
    return newest_first([commit(tag, root) for tag in tags], root)


def between(text, root=ROOT):
    """Commits of a range ``A..B``, without those merged into it."""
    if ".." not in text:
        raise NoCommit(f"--range takes A..B, got {text!r}; a single commit goes alone")
    return git("rev-list", "--first-parent", text, "--", root=root)


def named(names, root=ROOT):
    """Commits by their hashes or other names."""
    return newest_first([commit(name, root) for name in names], root)


def commit(name, root=ROOT):
    """The full hash of a commit."""
    return git("rev-parse", "--verify", f"{name}^{{commit}}", root=root)[0]


def newest_first(hashes, root=ROOT):
    """Every commit once, in the order of history."""
    order = {name: i for i, name in enumerate(history(root))}
    return sorted(set(hashes), key=lambda name: order.get(name, len(order)))


def history(root=ROOT):
    """All commits that the present one builds on, and itself, the newest first."""
    return git("rev-list", "--topo-order", "HEAD", root=root)
