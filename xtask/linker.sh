#!/bin/sh
# The linker that cargo calls: `cc`, which is installed first where a fresh Debian or Ubuntu lacks it.
#
# It exists because `cargo xtask` itself must be linked before it can install anything. Where `cc` is there,
# it costs one exec. It speaks to the terminal, because rustc swallows what a linker prints unless it fails.
command -v cc >/dev/null 2>&1 && exec cc "$@"

say() {
    { echo "$*" >/dev/tty; } 2>/dev/null || echo "$*" >&2
}

# cargo links several programs at once: the first one installs, the others wait for it.
exec 9>"${TMPDIR:-/tmp}/agentperf-linker.$(id -u).lock"
flock 9
command -v cc >/dev/null 2>&1 && exec cc "$@"

if ! command -v apt-get >/dev/null 2>&1; then
    say "agentperf: no C compiler, which Rust needs for linking. Install one and run this again:"
    say "  Fedora: sudo dnf install gcc glibc-devel      Arch: sudo pacman -S gcc"
    exit 2
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
    if ! command -v sudo >/dev/null 2>&1; then
        say "agentperf: no C compiler, which Rust needs for linking. As root: apt-get install gcc libc6-dev"
        exit 2
    fi
fi
say "agentperf: installing gcc and libc6-dev: there is no C compiler, and Rust needs one for linking"
export DEBIAN_FRONTEND=noninteractive
install="$sudo apt-get install -y --no-install-recommends gcc libc6-dev"
$install >&2 || { $sudo apt-get update >&2 && $install >&2; } || exit 1
exec cc "$@"
