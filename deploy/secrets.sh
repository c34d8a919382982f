#!/usr/bin/env bash
# Makes what docker-compose.yml and the systemd units open doors with: passwords, a town's own authority and the broker's
# certificate. What is there already stays. deploy/secrets.sh [FOLDER [NAME …]]; NAMEs are those gateways know the broker by.
set -euo pipefail
umask 077
folder=${1:-secrets}
shift || true
days=${SHOUWANG_CERTIFICATE_DAYS:-825}
command -v openssl >/dev/null || { echo "openssl is needed: sudo apt-get install openssl" >&2; exit 1; }
mkdir -p "$folder"
cd "$folder"

# the folder is its owner's alone; a container sees single files of it, whatever user it runs as
put() {
    local made
    made=$(mktemp .XXXXXX)
    cat >"$made"
    chmod 0444 "$made"
    mv "$made" "$1"
}

for name in database_password store_token store_password broker_password grafana_password grafana_reader_password; do
    [[ -e $name ]] || openssl rand -hex 24 | put "$name"
done
[[ -e grafana_oidc_secret ]] || : | put grafana_oidc_secret

curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
if [[ ! -e broker_ca ]]; then
    openssl req -x509 "${curve[@]}" -keyout .ca.key -out .ca.pem -days 7300 -subj "/CN=Shouwang broker authority" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
    chmod 0400 .ca.key
    mv .ca.key broker_ca_key
    put broker_ca <.ca.pem
    rm .ca.pem
fi
if [[ ! -e broker_cert && ! -e broker_ca_key ]]; then
    echo "没有 broker_ca_key，签不出 broker_cert：请把它从 U 盘放回 $PWD，再运行一次；签好后再移走。" >&2
    echo "broker_cert can't be made without broker_ca_key: put it back into $PWD, run this again, move it away afterwards." >&2
    exit 1
fi
if [[ ! -e broker_cert ]]; then
    names=DNS:mosquitto,DNS:localhost,IP:127.0.0.1
    for name in "$@"; do
        if [[ $name =~ ^[0-9.]+$|: ]]; then names+=,IP:$name; else names+=,DNS:$name; fi
    done
    trap 'rm -f .key.pem .asked.pem .extensions .cert.pem .broker_ca.srl' EXIT
    printf '%s\n' "subjectAltName=$names" extendedKeyUsage=serverAuth keyUsage=critical,digitalSignature >.extensions
    openssl req "${curve[@]}" -keyout .key.pem -out .asked.pem -subj "/CN=mosquitto" 2>/dev/null
    openssl x509 -req -in .asked.pem -CA broker_ca -CAkey broker_ca_key -CAcreateserial -CAserial .broker_ca.srl \
        -days "$days" -extfile .extensions -out .cert.pem 2>/dev/null
    put broker_key <.key.pem
    put broker_cert <.cert.pem
fi
echo "secrets are in $PWD; gateways trust broker_ca, its key broker_ca_key belongs on paper or a stick"
