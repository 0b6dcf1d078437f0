# shellcheck shell=bash
# What scenarios do with an installed Chancel: install it, use it, look at its units. Sourced by ./run.

url=https://localhost:8443
daemons=(chancel-keyd chancel-policyd chancel-gateway)

apt_() { inside apt-get --quiet --yes "$@" 2>&1; }
call() { inside python3 /srv/call.py "$url" /srv/api-key "$@"; }
works() { call open /srv/sealed; }
show() { inside systemctl show --property="$2" --value "$1"; }

# A file of this directory, or the PATH said, in the machine's /srv.
bring() { # NAME [PATH]
  # shellcheck disable=SC2016 # the machine's shell
  inside sh -c 'cat >"/srv/$1"' sh "$1" <"${2:-$here/$1}"
}

# A tenant with an API key in /srv/api-key and a first key of each kind; something sealed in /srv/sealed.
in_use() {
  local tenant
  bring call.py
  tenant=$(inside chancel --json tenant create first --plan enterprise | member id)
  inside chancel --json api-key create --tenant "$tenant" --name first 2>/dev/null | member api_key |
    inside sh -c 'umask 077; cat >/srv/api-key'
  check "keys are generated" call generate
  check "encrypt" call seal /srv/sealed
  check "decrypt, sign and verify" works
}

# Where other scenarios begin: what scenario_install checks step by step.
installed_and_in_use() {
  local said
  apt_ update >/dev/null
  said=$(apt_ install chancel-server) || wrong "apt install chancel-server: $said"
  in_use
}

# In the root of a machine that is not running yet, as its builder runs programs in it, who may show it /proc and a /run in
# which a systemd runs.
# shellcheck disable=SC2016 # the inner shell expands
in_image() {
  unshare --mount --propagation private sh -euc 'root=$1
    shift
    mount -t tmpfs none "$root/run"
    mkdir -p "$root/run/systemd/system"
    mount --bind /proc "$root/proc"
    exec chroot "$root" "$@"' sh "$machine/root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@" 2>&1
}

# As images are made: the machine makes its secrets when it is booted.
installed_in_image() {
  local said
  in_image apt-get --quiet update >/dev/null
  said=$(in_image apt-get --quiet --yes install chancel-server) || wrong "apt install in an image: $said"
}

# Nobody waits for them there as apt does, so they may still be starting.
started_by_themselves() {
  check "the three services start by themselves" within 20 inside systemctl is-active "${daemons[@]}"
}

# A program of this host as a client in the machine's network, which trusts that certificate and has the first API key.
as_client() { # TRUSTED COMMAND...
  local trusted=$1
  shift
  nsenter --target "$leader" --net -- env -i PATH="${CHANCEL_VENV:+$CHANCEL_VENV/bin:}/usr/bin:/bin" LC_ALL=C.UTF-8 \
    HOME="$machine" QPHER_API_URL="$url" QPHER_API_KEY="$(<"$machine/api-key")" PYTHONDONTWRITEBYTECODE=1 \
    REQUESTS_CA_BUNDLE="$trusted" SSL_CERT_FILE="$trusted" "$@"
}

# What as_client needs, out of the machine.
clients_are_given_what_they_need() {
  (
    umask 077
    inside cat /srv/api-key >"$machine/api-key"
  )
  inside cat /etc/chancel/tls/chain.pem >"$machine/chain.pem"
}

no_unit_failed() { [[ -z $(inside systemctl --failed --no-legend --plain) ]]; }

# Offline, as an auditor would, from copies and the audit key.
ledgers_are_sound() {
  inside sh -c 'set -e
    rm -rf /srv/audit && mkdir /srv/audit
    chancel audit public-key >/srv/audit/key.pem
    cp -r /var/lib/chancel-keyd/ledger /srv/audit/uses
    cp -r /var/lib/chancel-policyd/ledger /srv/audit/decisions
    chancel audit verify --decisions /srv/audit/decisions --uses /srv/audit/uses --public-key /srv/audit/key.pem'
}

# What a page that was installed tells its readers to type: the commands around that text.
told() { # PAGE TEXT
  awk -v text="$2" '
    /^```/ { if (is_it) exit; is_code = !is_code; block = ""; next }
    is_code { block = block $0 "\n"; if (index($0, text)) is_it = 1 }
    END { if (is_it) printf "%s", block; else exit 1 }' "$machine/root/usr/share/doc/chancel/operations/$1"
}

typed() { # COMMANDS
  inside bash -e -o pipefail -c "cd /srv
$1"
}
