"""Runs every snippet of docs/clients.md against a live server and compares what it prints with what stands under it.

    .cache/clients/bin/python scripts/check_clients.py target/debug/limbic-serve
    .cache/clients/bin/python scripts/check_clients.py target/debug/limbic-serve --print    # what each prints, to be copied

A snippet is a fenced block of sh, python or js; the fenced block of text after it is what it prints. A block of console is
for reading. The server serves both shipped models from copies in a temporary folder, on ports of its own, and is ended here.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/clients.md"
HOME = ROOT / ".cache/clients"
MODELS = ["tweet-emotion-minilm", "reddit-emotion-minilm"]
# How each language is run, given the file that holds the snippet.
RUNNERS = {"sh": ["bash", "-euo", "pipefail"], "python": [str(HOME / "bin/python")], "js": ["node"]}
ENDINGS = {"sh": "sh", "python": "py", "js": "mjs"}
# Fewer than these, and the page was not read as it was meant.
LEAST = {"sh": 2, "python": 12, "js": 2}
# For one snippet to end, and for the server to stop.
PATIENCE_S = 60
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(page):
    """Every snippet: line, language, source, and what it is to print."""
    blocks = [(page.count("\n", 0, block.start()) + 1, block[1], block[2]) for block in FENCE.finditer(page)]
    blocks = [block for block in blocks if block[1] != "console"]
    if page.count("\n```") % 2:
        raise SystemExit(f"{PAGE}: a fence is not closed")
    found = []
    for (line, language, source), (at, kind, expected) in zip(blocks[::2], blocks[1::2]):
        if language not in RUNNERS or kind != "text":
            raise SystemExit(f"{PAGE}:{line}: expected a snippet and then a block of text, found {language!r} and {kind!r} (line {at})")
        found.append((line, language, source, expected))
    if len(blocks) % 2:
        raise SystemExit(f"{PAGE}:{blocks[-1][0]}: nothing says what this is to print")
    for language, least in LEAST.items():
        count = sum(1 for snippet in found if snippet[1] == language)
        if count < least:
            raise SystemExit(f"{PAGE}: {count} snippets of {language}, expected at least {least}")
    return found


class Server:
    """The program on ports of its own; ended, and asked how it ended, by `stop`."""

    def __init__(self, program, folder):
        for model in MODELS:
            shutil.copytree(ROOT / "models" / model / "bundle", folder / "models" / model)
        flags = {"--models": folder / "models", "--default-model": MODELS[0], "--listen": "127.0.0.1:0"}
        flags |= {"--grpc-listen": "127.0.0.1:0", "--admin-listen": "127.0.0.1:0"}
        command = [program, *(str(word) for flag in flags.items() for word in flag)]
        own = {name: value for name, value in os.environ.items() if not name.startswith("LIMBIC_")}
        self.process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True)
        told = {}
        # The line about threads is the last; a program that did not start says nothing.
        for line in self.process.stdout:
            told[line.split()[0]] = line.split()
            if line.startswith("threads "):
                break
        else:
            raise SystemExit("the server did not start")
        self.addresses = {
            "LIMBIC_URL": told["listening"][2],
            "LIMBIC_GRPC": told["grpc"][2],
            "LIMBIC_ADMIN": told["admin"][2].removeprefix("http://"),
        }

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


def run(snippet, environment, folder):
    """What a snippet printed, and what went wrong, if anything did."""
    line, language, source, _ = snippet
    # Beside the npm packages, where node looks for them.
    place = HOME if language == "js" else folder
    path = place / f"snippet-{line}.{ENDINGS[language]}"
    path.write_text(source)
    try:
        done = subprocess.run([*RUNNERS[language], path], env=environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return "", f"did not end within {PATIENCE_S} s"
    finally:
        path.unlink()
    return done.stdout, None if done.returncode == 0 else f"exit status {done.returncode}\n{done.stderr.strip()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--print", action="store_true", help="show what each snippet prints, and compare nothing")
    asked = parser.parse_args()
    found = snippets(PAGE.read_text())
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        server = Server(asked.program.resolve(), folder)
        environment = os.environ | server.addresses
        try:
            for snippet in found:
                line, language, _, expected = snippet
                printed, wrong = run(snippet, environment, folder)
                if asked.print:
                    print(f"--- {PAGE.name}:{line} {language}\n{printed}", end="")
                elif wrong is None and printed != expected:
                    wrong = f"printed\n{printed}and not\n{expected}"
                if wrong is not None:
                    failures.append(f"{PAGE.name}:{line}: {language}: {wrong}")
        finally:
            status = server.stop()
    if status != 0:
        failures.append(f"the server ended with {status}")
    print("\n".join(failures), file=sys.stderr)
    print(f"clients: {len(found) - len(failures)} of {len(found)} snippets ran and printed what {PAGE.name} says")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
