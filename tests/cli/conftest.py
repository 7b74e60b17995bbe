"""Running the command in this process."""

import json

import pytest

from convinv import cli


@pytest.fixture
def command(capsys):
    """Runs ``convinv`` with words: the code, and what is on stdout and stderr."""

    def run(*words):
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as end:  # argparse's
            code = end.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture
def done(command):
    """Runs a command that must succeed in silence: its lines."""

    def run(*words):
        code, out, err = command(*words)
        assert (code, err) == (0, "")
        return out

    return run


@pytest.fixture
def facts(done):
    """Runs a command with ``--json``: the facts."""
    return lambda *words: json.loads(done(*words, "--json"))


@pytest.fixture
def refused(command):
    """Runs a command that must end with a code and one line: the line."""

    def run(code, *words):
        found, out, err = command(*words)
        assert found == code, (out, err)
        if not err.startswith("usage:"):  # argparse's
            assert err.startswith("convinv: error: ") and err.count("\n") == 1
        return err

    return run
