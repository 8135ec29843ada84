"""Runs schemathesis against a live server and the documents that it gives: python scripts/check_openapi.py LIMBIC_SERVE BUNDLE.

Ends with 1 on any finding. The run is the same every time: its seed and its size stand in scripts/openapi/schemathesis.toml.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent / "openapi"
# What it writes as it runs stays beside its environment.
SCRATCH = Path(sys.executable).absolute().parent.parent / "run"
# The whole run, in seconds.
LONGEST = 300


def start(program, bundle):
    command = [program, "--bundle", bundle, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-level", "error"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    urls = {}
    for line in server.stdout:
        words = line.split()
        urls |= {words[0]: word for word in words if word.startswith("http://")}
        if words[0] == "threads":
            return server, urls["listening"], urls["admin"]
    sys.exit(f"the server did not start: {server.wait()}")


def check(url):
    st = Path(sys.executable).absolute().with_name("st")
    command = [st, "--config-file", HERE / "schemathesis.toml", "run", "--no-color", f"{url}/openapi.json"]
    hooks = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    SCRATCH.mkdir(exist_ok=True)
    return subprocess.run(command, cwd=SCRATCH, env=os.environ | hooks, timeout=LONGEST).returncode


def main():
    program, bundle = sys.argv[1:]
    server, public, admin = start(program, bundle)
    try:
        failed = [url for url in (public, admin) if check(url) != 0]
        alive = server.poll() is None
    finally:
        server.send_signal(signal.SIGTERM)
    if not alive or server.wait(30) != 0:
        sys.exit(f"the server ended with {server.returncode}")
    if failed:
        sys.exit(f"schemathesis has findings at {', '.join(failed)}")


if __name__ == "__main__":
    main()
