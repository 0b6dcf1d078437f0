# shellcheck shell=bash
# What scenarios do with an installed Chancel: install it, use it, look at its units. Sourced by ./run.

url=https://localhost:8443
daemons=(chancel-keyd chancel-policyd chancel-gateway)

apt_() { inside apt-get --quiet --yes "$@" 2>&1; }
call() { inside python3 /srv/call.py "$url" /srv/api-key "$@"; }
works() { call open /srv/sealed; }
show() { inside systemctl show --property="$2" --value "$1"; }

# A file of this directory, in the machine's /srv.
bring() { # NAME
  cp "$here/$1" "$machine/root/srv/$1"
}

# A tenant with an API key in /srv/api-key and a first key of each kind; something sealed in /srv/sealed.
in_use() {
  local tenant
  bring call.py
  tenant=$(inside chancel --json tenant create first --plan enterprise | member id)
  (
    umask 077
    inside chancel --json api-key create --tenant "$tenant" --name first 2>/dev/null |
      member api_key >"$machine/root/srv/api-key"
  )
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
