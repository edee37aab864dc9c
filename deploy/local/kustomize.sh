#!/bin/sh
# Lays down kustomize, which renders the Kubernetes manifests for their tests: .venv/tools/kustomize, 22 MB, in a few seconds. Does nothing
# where kustomize, or a kubectl that is new enough, is on the PATH already. Safe to repeat; not installed into the system.
#
# Debian 12 has no kustomize, so Debian 13's package is fetched with apt into a folder of its own and unpacked. As for any package, apt
# checks Debian's signature over the index and the index's SHA-256 over the package; it needs no more of the system than libc.
set -eu

cd "$(dirname "$0")/../.."
PROGRAM=$PWD/.venv/tools/kustomize
RELEASE=trixie

if command -v kustomize >/dev/null 2>&1 || [ -x "$PROGRAM" ] || kubectl kustomize k8s/overlays/production >/dev/null 2>&1; then exit 0; fi

give_up() {
    echo "setup: no kustomize: $*. The tests of k8s/ need it or kubectl on the PATH, and are skipped without" >&2
    exit 0
}

[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || give_up "Debian's keys are not here (package debian-archive-keyring)"
# The mirror that this machine has its own packages from.
MIRROR=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ' || true)
[ -n "$MIRROR" ] || give_up "apt knows no mirror of Debian's"

echo "setup: fetching kustomize from Debian $RELEASE"
FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
mkdir -p "$FOLDER/lists/partial" "$FOLDER/cache/archives/partial" "$(dirname "$PROGRAM")"
cat >"$FOLDER/debian.sources" <<END
Types: deb
URIs: $MIRROR
Suites: $RELEASE
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$FOLDER/debian.sources" -o Dir::Etc::sourceparts=- -o Dir::State::status=/dev/null \
        -o Dir::State::lists="$FOLDER/lists" -o Dir::Cache="$FOLDER/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
{
    apt update && (cd "$FOLDER" && apt download kustomize) && dpkg -x "$FOLDER"/kustomize_*.deb "$FOLDER/unpacked"
} >"$FOLDER/log" 2>&1 </dev/null || { cat "$FOLDER/log" >&2 && give_up "it could not be fetched"; }
mv "$FOLDER/unpacked/usr/bin/kustomize" "$PROGRAM"
