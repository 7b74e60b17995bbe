"""A small project with results of asv: a repository, a configuration, results."""

import json
import subprocess

from .paths import ROOT

RATIO = "bench_history.Made.track_ratio"
TIME = "bench_history.Made.time_call"
UNMEASURED = "bench_other.Made.time_call"
SIZES = ["64", "256"]
MACHINE = "test-machine"
START = 1_700_000_000  # seconds; a commit a day
DAY = 86400


def make(folder, ratios, python="3.11"):
    """Commits with one value of a ratio each, for the smaller of two sizes.

    Returns the configuration's path, the results' folder, and the commits' hashes from
    the oldest on.
    """
    hashes = commits(folder, len(ratios))
    return write_results(folder, hashes, ratios, python)


def write_results(folder, hashes, ratios, python="3.11"):
    """The configuration and results of commits that a repository has."""
    (folder / "dashboard").symlink_to(ROOT / "benchmarks" / "dashboard")
    config = folder / "asv.conf.json"
    config.write_text(json.dumps(CONFIG))
    results = folder / "results"
    (results / MACHINE).mkdir(parents=True)
    known = {RATIO: TRACK, TIME: CALL, UNMEASURED: {**CALL, "name": UNMEASURED}}
    write(results / "benchmarks.json", {**known, "version": 2})
    write(results / MACHINE / "machine.json", {**MACHINE_FIELDS, "version": 1})
    for i, (commit, ratio) in enumerate(zip(hashes, ratios)):
        file = results / MACHINE / f"{commit[:8]}-virtualenv-py3.11.json"
        write(file, result(commit, START + i * DAY, ratio, python))
    return config, results, hashes


def commits(folder, count):
    """An empty commit a day in a new repository."""
    run(folder, "init", "-q", "-b", "main")
    for i in range(count):
        stamp = f"{START + i * DAY} +0000"
        run(folder, "commit", "-q", "--allow-empty", "-m", f"commit {i}", stamp=stamp)
    return run(folder, "rev-list", "--reverse", "HEAD").split()


def run(folder, *arguments, stamp=f"{START} +0000"):
    """The output of git, without the settings of whoever runs the tests."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "test@example.org" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_DATE": stamp for who in ("AUTHOR", "COMMITTER")},
    }
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def write(file, content):
    file.write_text(json.dumps(content))


def result(commit, seconds, ratio, python):
    columns = ["result", "params", "version"]
    return {
        "commit_hash": commit,
        "env_name": "virtualenv-py3.11",
        "date": 1000 * seconds,
        "params": {**MACHINE_FIELDS, "python": python},
        "python": python,
        "requirements": {},
        "env_vars": {},
        "result_columns": columns,
        "results": {
            RATIO: [[ratio, 0.5], [SIZES], "1"],
            TIME: [[1e-3, 2e-3], [SIZES], "1"],
        },
        "durations": {},
        "version": 2,
    }


CONFIG = {
    "version": 1,
    "project": "made",
    "repo": ".",
    "dvcs": "git-with-merges",
    "plugins": [".dashboard.merges"],
    "branches": ["HEAD"],
    "benchmark_dir": ".",
    "results_dir": "results",
    "html_dir": "html",
    "environment_type": "virtualenv",
    "regressions_thresholds": {".*": 0.3},
}
MACHINE_FIELDS = {
    "machine": MACHINE,
    "os": "Linux",
    "arch": "x86_64",
    "cpu": "processor",
    "num_cpu": "2",
    "ram": "8 GB",
}
SHARED = {
    "code": "def call():\n    pass",
    "param_names": ["size"],
    "params": [SIZES],
    "timeout": 60,
    "version": "1",
}
TRACK = {**SHARED, "name": RATIO, "type": "track", "unit": "times the peer's time"}
CALL = {**SHARED, "name": TIME, "type": "time", "unit": "seconds"}
