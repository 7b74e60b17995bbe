"""A plugin of asv that draws results of commits on merged branches, too.

asv's own class for repositories of Git follows first parents alone. Which commits these
are changes when a branch moves on to another that had merged it, and results of the
others would vanish from the pages. asv imports this file by its place in the folder of
its configuration, outside the package.
"""

from asv.plugins.git import Git


class GitWithMerges(Git):
    dvcs = "git-with-merges"

    def get_branch_commits(self, branch):
        """All commits that a branch builds on."""
        return self._run_git(["rev-list", self.get_branch_name(branch), "--"]).split()
