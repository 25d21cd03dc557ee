# Shared by run and test: the virtual environment and what goes into it. Sourced, never run.

die() {
    printf '\n%s\n' "$@" >&2
    exit 1
}

say() { printf '\033[1m%s\033[0m\n' "· $*" >&2; }

has_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    say "installing $* (apt-get)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
        { apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends "$@" >/dev/null; } ||
        die "apt-get could not install: $*" "Look at what it says: apt-get install $*"
}

# The same for servers that the tests start by themselves: the system's own must not come up.
apt_install_asleep() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        apt_install "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    apt_install "$@"
    rm -f "$policy"
    trap - EXIT
}

# Prints the newest Python from 3.11 on, preferring the system's python3 when it is new enough.
find_python() {
    for name in "${MOLTGATE_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$name" ] && command -v "$name" >/dev/null || continue
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}

need_python() {
    PYTHON=$(find_python)
    if [ -z "$PYTHON" ] && has_apt; then
        apt_install python3 python3-venv
        PYTHON=$(find_python)
        if [ -z "$PYTHON" ] && apt-cache show python3.11 >/dev/null 2>&1; then
            apt_install python3.11 python3.11-venv
            PYTHON=$(find_python)
        fi
    fi
    [ -n "$PYTHON" ] || die \
        "Moltgate needs Python 3.11 or newer; this machine has $(python3 --version 2>/dev/null || echo none)." \
        "Debian 12+, Ubuntu 24.04+: apt-get install python3 python3-venv" \
        "Elsewhere: name one with MOLTGATE_PYTHON=/path/to/python3.12 $0"
}

need_venv() {
    [ -x .venv/bin/python ] && .venv/bin/python -c 'import pip' 2>/dev/null && return
    need_python
    say "making .venv with $("$PYTHON" --version)"
    if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        has_apt && apt_install "python$version-venv"
        "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || die \
            "This Python has no venv module." \
            "As root: apt-get install python$version-venv"
    fi
    rm -rf .venv
    "$PYTHON" -m venv .venv || die "python -m venv failed, see above."
}

# stamp_of WHAT: changes when the packaging, the interpreter or WHAT is asked for changes.
stamp_of() {
    { echo "$1"; cat pyproject.toml; .venv/bin/python -c 'import sys; print(sys.version, sys.prefix)'; } |
        sha256sum | cut -d' ' -f1
}

# install NAME ARGUMENTS…: pip install, unless the stamp says that nothing changed.
install() {
    name=$1
    shift
    stamp=$(stamp_of "$*")
    [ "$(cat ".venv/$name.stamp" 2>/dev/null)" = "$stamp" ] && return
    say "installing (this takes a minute the first time)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' ||
        die "pip could not be upgraded, see above. Is there a way to pypi.org?"
    .venv/bin/python -m pip install --disable-pip-version-check --no-input "$@" ||
        die "pip could not install Moltgate, see above. Is there a way to pypi.org?"
    echo "$stamp" >".venv/$name.stamp"
}
