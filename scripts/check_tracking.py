"""Runs the smoke recipe beside a real MLflow server and asks that server, and TensorBoard's own reader, what they know.

    .cache/mlflow/bin/python scripts/check_tracking.py target/debug/limbic-train

The server listens on a free port of the loopback address, keeps everything in a temporary folder, and is ended here. What
is expected is what the run itself wrote: metrics.jsonl, recipe.toml and the reports.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections import defaultdict
from pathlib import Path

RECIPE = "models/tweet-emotion-minilm/recipe.smoke.toml"
PHASES = ["fold-0", "fold-1", "fold-2", "refit"]
SETS = ["out_of_fold", "held_out", "held_out_uncalibrated"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(folder, address):
    host, port = address.removeprefix("http://").split(":")
    # Telemetry would leave the machine.
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port, "--workers", "1", *store]
    with open(folder / "server.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=quiet, start_new_session=True, cwd=folder)
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return server
        except OSError:
            time.sleep(0.5)
    stop_server(server)
    sys.exit("the MLflow server did not start:\n" + (folder / "server.log").read_text()[-3000:])


def stop_server(server):
    """Ends the server and the workers that it started: they are its own process group."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def fit(binary, folder, address):
    run = folder / "run"
    tracked = {"MLFLOW_TRACKING_URI": address, "MLFLOW_EXPERIMENT_NAME": "smoke, tracked"}
    command = [binary, "fit", RECIPE, "--run", run, "--set", f'bundle.out="{folder}/bundle"', "--mlflow", "--tensorboard"]
    done = subprocess.run(command, env={**os.environ, **tracked}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MLflow" not in done.stdout, done.stdout
    return run


def written(run):
    """Figures of metrics.jsonl: {phase: {name: [(step, value), ...]}}."""
    figures = defaultdict(lambda: defaultdict(list))
    for line in (run / "metrics.jsonl").read_text().splitlines():
        line = json.loads(line)
        for name, value in line.items():
            if name not in ("phase", "step"):
                figures[line["phase"]][name].append((line["step"], float(value)))
    return figures


def flattened(table, prefix=""):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def check_mlflow(run, address):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("smoke, tracked")
    [found] = client.search_runs([experiment.experiment_id])
    assert (found.info.status, found.info.run_name) == ("FINISHED", "run"), found.info
    assert 0 < found.info.end_time - found.info.start_time < 3_600_000

    recipe = dict(flattened(tomllib.loads((run / "recipe.toml").read_text())))
    recipe = {key: value for key, value in recipe.items() if not key.startswith("tracking.")}
    assert set(found.data.params) == set(recipe), set(found.data.params) ^ set(recipe)
    for key, value in recipe.items():
        given = found.data.params[key]
        assert given == value if isinstance(value, str) else tomllib.loads(f"v = {given}")["v"] == value, (key, given, value)

    points = 0
    for phase, names in written(run).items():
        for name, expected in names.items():
            history = client.get_metric_history(found.info.run_id, f"{phase}/{name}")
            assert sorted((point.step, point.value) for point in history) == sorted(expected), (phase, name)
            points += len(expected)
    measured = [key for key in found.data.metrics if key.split("/")[0] in SETS]
    report = json.loads((run / "report.json").read_text())
    for measured_set in report["sets"]:
        for prefix, figures in [("", measured_set["tuned"]), ("at_half/", measured_set["at_half"])]:
            for name, figure in figures["overall"].items():
                assert found.data.metrics[f"{measured_set['name']}/{prefix}{name}"] == figure["value"], name

    artifacts = {artifact.path for artifact in client.list_artifacts(found.info.run_id)}
    assert artifacts == {"report.html", "report.json", "report.md"}, artifacts
    with tempfile.TemporaryDirectory() as folder:
        for name in artifacts:
            kept = client.download_artifacts(found.info.run_id, name, folder)
            assert Path(kept).read_bytes() == (run / name).read_bytes(), name
    print(f"MLflow: 1 run, {len(recipe)} parameters, {points} points of {len(found.data.metrics) - len(measured)} metrics,"
          f" {len(measured)} measured figures, {len(artifacts)} artifacts: all as the run wrote them")


def check_tensorboard(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(phase):
        events = EventAccumulator(str(run / "tensorboard" / phase), size_guidance={"scalars": 0})
        events.Reload()
        return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

    expected, points = written(run), 0
    assert sorted(expected) == PHASES, sorted(expected)
    for phase, names in expected.items():
        found = read(phase)
        assert set(found) == set(names), (phase, set(found) ^ set(names))
        for name, values in names.items():
            close = [(step, value) for step, value in values]
            assert [step for step, _ in found[name]] == [step for step, _ in close], (phase, name)
            for (_, one), (_, other) in zip(found[name], close):
                assert abs(one - other) <= abs(other) * 1e-6, (phase, name, one, other)
            points += len(values)
    figures = sum(len(read(name)) for name in SETS)
    assert figures > 20, figures
    print(f"TensorBoard: {points} points of {sum(map(len, expected.values()))} curves in {len(PHASES)} phases,"
          f" {figures} measured figures: all as the run wrote them")


def main():
    binary = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        address = f"http://127.0.0.1:{free_port()}"
        server = start_server(folder, address)
        try:
            run = fit(binary, folder, address)
            check_mlflow(run, address)
        finally:
            stop_server(server)
        check_tensorboard(run)


main()
