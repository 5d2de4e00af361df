#!/usr/bin/env bash
# Makes the certificates of the TLS tests again: an authority, and a server `localhost` that it vouches for. They are
# good from 2020 to 2120, whatever the clock of the machine says. Needs OpenSSL 3.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index" && echo 01 >"$work/serial"
cat >"$work/ca.cnf" <<END
[ca]
default_ca = here
[here]
database = $work/index
serial = $work/serial
new_certs_dir = $work
default_md = sha256
policy = any
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost
END

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
certify() {
    openssl ca -batch -notext -config "$work/ca.cnf" -startdate 20200101000000Z -enddate 21200101000000Z "$@"
}

key "$work/authority.key"
openssl req -new -config "$work/ca.cnf" -key "$work/authority.key" -subj "/CN=Authority of a test" -out "$work/authority.csr"
certify -selfsign -keyfile "$work/authority.key" -extensions authority -in "$work/authority.csr" -out authority.pem
key server.key.pem
openssl req -new -config "$work/ca.cnf" -key server.key.pem -subj "/CN=localhost" -out "$work/server.csr"
certify -cert authority.pem -keyfile "$work/authority.key" -extensions server -in "$work/server.csr" -out server.pem
