#!/bin/sh
# Makes what kustomization.yaml here puts into Secrets: passwords, key files, and the providers' settings for you to fill in.
# Safe to repeat: what is there stays. Needs openssl, and the `valet` command on the PATH.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p made

for user in valet-auth valet-availability valet-booking valet-calendar-writer valet-operator emitter-demo valet-scaler; do
    [ -s "made/$user-broker" ] || printf %s "$(openssl rand -hex 20)" >"made/$user-broker"
done
for user in valet-auth valet-availability valet-booking valet-calendar-writer valet-operator valet-backup; do
    [ -s "made/$user-database" ] || printf %s "$(openssl rand -hex 20)" >"made/$user-database"
done
for service in auth booking calendar-writer; do
    [ -s "made/$service-keyring.json" ] || valet keys new "made/$service-keyring.json"
done
if [ ! -s made/auth-providers.env ]; then
    for name in GOOGLE_CLIENT_ID GOOGLE_CLIENT_SECRET MICROSOFT_CLIENT_ID MICROSOFT_CLIENT_SECRET; do
        echo "VALET_$name=fill-me-in"
    done >made/auth-providers.env
    echo "now fill in $PWD/made/auth-providers.env"
fi
