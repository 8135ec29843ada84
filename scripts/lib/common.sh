# shellcheck shell=bash
# What the scripts share: the repository's root, messages, and the check for a tool.
# Sourced by bash, never run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# need TOOL HOW: fails with HOW when TOOL is not on the path.
need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is missing: $2"
}
