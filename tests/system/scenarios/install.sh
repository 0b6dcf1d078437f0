# shellcheck shell=bash
# From `apt install` to `apt purge`: a running system without an editor, confined as the units say, that mends itself,
# takes another certificate, is upgraded in order, and destroys keys only when it is told to.

url=https://localhost:8443
daemons=(chancel-keyd chancel-policyd chancel-gateway)

apt_() { inside apt-get --quiet --yes "$@" 2>&1; }
call() { inside python3 /srv/call.py "$url" /srv/api-key "$@"; }
works() { call open /srv/sealed; }
show() { inside systemctl show --property="$2" --value "$1"; }

scenario_install() {
  cp "$here/call.py" "$machine/root/srv/call.py"
  installed
  secrets_are_sealed
  confined
  first_steps
  mends_itself
  takes_another_certificate
  listens_elsewhere
  options_are_what_they_say
  removed_and_installed_again
  upgraded_in_order
  purged
}

installed() {
  local said
  check "the repository is accepted" apt_ update
  said=$(apt_ install chancel-server) || wrong "apt install chancel-server: $said"
  check_contains "the first steps are told" "chancel init" "$said"
  for unit in chancel-keyd.socket "${daemons[@]}"; do
    check "$unit is active" inside systemctl is-active "$unit"
    check "$unit is enabled" inside systemctl is-enabled "$unit"
  done
  for daemon in "${daemons[@]}"; do
    check_equal "$daemon started at once" 0 "$(show "$daemon" NRestarts)"
    check_equal "$daemon has a watchdog" 30s "$(show "$daemon" WatchdogUSec)"
    check_contains "$daemon told systemd what it does" serving "$(show "$daemon" StatusText)"
  done
  check_equal "no unit failed" "" "$(inside systemctl --failed --no-legend --plain)"
  check "AppArmor profiles are in their place" \
    inside ls /etc/apparmor.d/chancel-keyd /etc/apparmor.d/local/chancel-keyd
  # shellcheck disable=SC2016 # dpkg-query's variable
  check_equal "configuration files are known to dpkg" 6 \
    "$(inside dpkg-query --show --showformat='${Conffiles}\n' "${daemons[@]}" | grep --count chancel)"
}

secrets_are_sealed() {
  local found
  found=$(inside sh -c 'cd /etc/chancel/credentials && ls *.cred' | xargs)
  check_equal "six secrets are sealed" \
    "api-key-secret.cred gateway-keyd.cred gateway-policyd.cred kek.cred policyd-keyd.cred tls-key.cred" "$found"
  check_equal "with the host's key, for want of a TPM" host "$(inside cat /etc/chancel/credentials/sealed-by)"
  check_equal "readable by root alone" 600 \
    "$(inside sh -c 'stat --format=%a /etc/chancel/credentials/*.cred' | sort -u)"
  for name in kek gateway-keyd gateway-policyd policyd-keyd api-key-secret; do
    check_equal "$name has 32 bytes" 32 "$(inside /usr/libexec/chancel/credentials unseal "$name" | wc -c)"
  done
  found=$(inside sh -c 'sha256sum /etc/chancel/credentials/*.cred')
  check "making them again" inside /usr/libexec/chancel/credentials make
  check_equal "changes none" "$found" "$(inside sh -c 'sha256sum /etc/chancel/credentials/*.cred')"
  check_equal "the opened TLS key is the gateway's" "chancel-gateway 400" \
    "$(inside stat --format='%U %a' /run/chancel-gateway/tls/key.pem)"
  for name in keyd policyd; do
    check_equal "state of $name is its own" "chancel-$name 700" \
      "$(inside stat --format='%U %a' "/var/lib/chancel-$name")"
    check_equal "its ledger may be given to a group" "chancel-$name 750" \
      "$(inside stat --format='%U %a' "/var/lib/chancel-$name/ledger")"
  done
  found=$(inside openssl x509 -in /etc/chancel/tls/chain.pem -noout -ext subjectAltName | tail -n 1 | xargs)
  for name in DNS:localhost DNS:chancel-test DNS:chancel-test.example.test "IP Address:127.0.0.1" \
    "IP Address:0:0:0:0:0:0:0:1"; do
    check_contains "the certificate is for $name" "$name" "$found"
  done
}

# In tenths, as systemd-analyze takes them: what each may expose at most.
confined() {
  local daemon
  local -A most=(["chancel-keyd"]=6 ["chancel-policyd"]=10 ["chancel-gateway"]=15)
  for daemon in "${daemons[@]}"; do
    check "$daemon exposes no more than ${most[$daemon]} tenths" \
      inside systemd-analyze security --no-pager --threshold="${most[$daemon]}" "$daemon.service"
    note "$(inside systemd-analyze security --no-pager "$daemon.service" | tail -n 1 | tr -d '→' | xargs)"
    check_equal "$daemon has no privileges" "CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2" \
      "$(inside grep -E '^(CapBnd|NoNewPrivs|Seccomp):' "/proc/$(show "$daemon" MainPID)/status" | xargs)"
  done
  for daemon in chancel-keyd chancel-policyd; do
    check_not "$daemon has a network of its own" test "$(inside readlink /proc/1/ns/net)" = \
      "$(inside readlink "/proc/$(show "$daemon" MainPID)/ns/net")"
  done
}

first_steps() {
  local tenant
  check "chancel status works" inside chancel status
  check_contains "and says where the key-encryption key is from" credential "$(inside chancel status --json)"
  inside useradd --groups chancel-admin olga
  inside useradd stranger
  check "a member of chancel-admin may ask" inside runuser -u olga -- chancel status
  check_not "a stranger may not" inside runuser -u stranger -- chancel tenant list
  tenant=$(inside chancel --json tenant create first --plan enterprise | member id)
  inside chancel --json api-key create --tenant "$tenant" --name first | member api_key >"$machine/root/srv/api-key"
  check "keys are generated" call generate
  check "encrypt" call seal /srv/sealed
  check "decrypt, sign and verify" works
}

# Killed one by one and all at once, all is well again within seconds and by itself.
mends_itself() {
  local daemon pids=()
  for daemon in "${daemons[@]}"; do
    inside kill -KILL "$(show "$daemon" MainPID)"
    check "service is back after $daemon was killed" within 15 works
  done
  for daemon in "${daemons[@]}"; do
    pids+=("$(show "$daemon" MainPID)")
  done
  inside kill -KILL "${pids[@]}"
  check "service is back after all were killed" within 15 works
  freezes
}

# Alive and doing nothing is found out by the watchdog, which is made less patient for this.
freezes() {
  local daemon pid
  for daemon in "${daemons[@]}"; do
    inside sh -c "mkdir -p /run/systemd/system/$daemon.service.d
      printf '[Service]\nWatchdogSec=3\n' >/run/systemd/system/$daemon.service.d/watchdog.conf"
  done
  inside systemctl daemon-reload
  inside systemctl restart "${daemons[@]}"
  check "service is back after a restart of all" within 15 works
  for daemon in "${daemons[@]}"; do
    pid=$(show "$daemon" MainPID)
    inside kill -STOP "$pid"
    check "the watchdog ends a frozen $daemon" within 20 inside sh -c "! kill -0 $pid"
    check "and service is back" within 15 works
  done
  inside rm -r /run/systemd/system/chancel-{keyd,policyd,gateway}.service.d
  inside systemctl daemon-reload
  inside systemctl restart "${daemons[@]}"
  check "service is back after another restart" within 15 works
}

takes_another_certificate() {
  local before
  before=$(call fingerprint)
  inside sh -c 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -subj /CN=other \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout /run/other.key -out /run/other.pem 2>/dev/null'
  check "another certificate is given" inside /usr/libexec/chancel/set-certificate /run/other.pem /run/other.key
  check "and taken at a reload" inside systemctl reload chancel-gateway
  check "connections get it" within 5 has_another_certificate "$before"
  check "clients that trust it are served" works
  before=$(call fingerprint)
  inside openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out /run/foreign.key
  check_not "a key of another certificate is refused" \
    inside /usr/libexec/chancel/set-certificate /run/other.pem /run/foreign.key
  inside sh -c '/usr/libexec/chancel/credentials seal tls-key </run/foreign.key'
  check_not "a pair that does not fit does not get as far as the gateway" inside systemctl reload chancel-gateway
  check "which goes on" works
  check_equal "with the certificate it had" "$before" "$(call fingerprint)"
  inside sh -c '/usr/libexec/chancel/credentials seal tls-key </run/other.key; rm /run/other.* /run/foreign.key'
  check "and takes it up again" inside systemctl reload chancel-gateway
}

has_another_certificate() { # FINGERPRINT
  [[ $(call fingerprint) != "$1" ]]
}

drop_in() { # NAME
  inside install -D -m 644 "/usr/share/doc/chancel-gateway/examples/$1" \
    "/etc/systemd/system/chancel-gateway.service.d/$1"
  inside systemctl daemon-reload
}

listens_elsewhere() {
  local configuration=$machine/root/etc/chancel/gateway.toml url
  cp "$configuration" "$machine/gateway.toml"
  drop_in port-443.conf
  sed -i 's/^listen = .*/listen = "[::]:443"/' "$configuration"
  inside systemctl restart chancel-gateway
  url=https://localhost:443
  check "on port 443, with the drop-in" works
  check_contains "and no capability left" "CapEff: 0000000000000000" \
    "$(inside grep CapEff: "/proc/$(show chancel-gateway MainPID)/status" | xargs)"
  inside rm -r /etc/systemd/system/chancel-gateway.service.d
  drop_in behind-a-proxy.conf
  sed -i -e 's/^listen = .*/listen = "127.0.0.1:8443"\ntrusted_proxies = ["127.0.0.1", "::1"]/' -e '/^\[tls\]/d' \
    -e '/^certificate_file\|^key_file/d' "$configuration"
  inside systemctl restart chancel-gateway
  url=http://127.0.0.1:8443
  check "behind a proxy, with the drop-in" works
  inside rm -r /etc/systemd/system/chancel-gateway.service.d
  cp "$machine/gateway.toml" "$configuration"
  inside systemctl daemon-reload
  inside systemctl restart chancel-gateway
}

# Each option that the shipped files show behind # is one that the daemons take.
options_are_what_they_say() {
  local name
  cp -r "$machine/root/etc/chancel" "$machine/configured"
  install -D -m 644 <(printf '[free]\napi_keys = 2\n') "$machine/root/etc/chancel/plans/plans.toml"
  for name in keyd policyd gateway; do
    # All but the other source of the key-encryption key.
    sed -i -E -e '/^#(source|path) = /d' -e 's/^#([a-z_]+ = |\[)/\1/' "$machine/root/etc/chancel/$name.toml"
    check_not "no option of $name is left behind #" grep -E '^#[a-z_[]' "$machine/root/etc/chancel/$name.toml"
  done
  inside systemctl restart "${daemons[@]}"
  check "with every option written out" within 15 works
  check "the plans are read" inside systemctl reload chancel-policyd
  rm -r "$machine/root/etc/chancel/plans"
  cp "$machine"/configured/*.toml "$machine/root/etc/chancel/"
  inside systemctl restart "${daemons[@]}"
  check "and with the files as they are shipped" within 15 works
}

removed_and_installed_again() {
  check "remove" apt_ remove 'chancel*'
  for unit in chancel-keyd.socket "${daemons[@]}"; do
    check_not "$unit is gone" inside systemctl is-active "$unit"
  done
  check "keys and ledgers are still there" \
    inside sh -c 'ls /var/lib/chancel-keyd/keys/* /var/lib/chancel-policyd/chancel.db'
  check "install again" apt_ install chancel-server
  check "what was sealed before is opened" works
}

# The same files under a higher version: what an upgrade does to a running system.
upgraded_in_order() {
  local deb before before_start after unit said
  for deb in "$machine"/root/srv/repository/pool/*.deb; do
    rm -rf "$machine/package"
    dpkg-deb --raw-extract "$deb" "$machine/package"
    sed -i -E -e 's/^Version: .*/&+next/' -e '/^Depends:/s/(chancel[a-z-]* \(= [^)]*)\)/\1+next)/g' \
      "$machine/package/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone --build "$machine/package" "$machine/root/srv/repository/pool/" >/dev/null
  done
  machine_index
  before=$(inside sh -c 'sha256sum /etc/chancel/credentials/* /etc/chancel/tls/*')
  inside sh -c 'echo "# of the operator" >>/etc/chancel/keyd.toml'
  apt_ update >/dev/null
  said=$(apt_ upgrade) || wrong "upgrade: $said"
  # shellcheck disable=SC2016 # dpkg-query's variable
  check_contains "upgraded" +next "$(inside dpkg-query --show --showformat='${Version}' chancel-gateway)"
  after=0
  for unit in "${daemons[@]}"; do
    before_start=$after
    after=$(show "$unit" ExecMainStartTimestampMonotonic)
    check "$unit was restarted after the one before it" test "$after" -gt "$before_start"
  done
  check_equal "secrets and certificate are the same" "$before" \
    "$(inside sh -c 'sha256sum /etc/chancel/credentials/* /etc/chancel/tls/*')"
  check "what the operator wrote is kept" inside grep --quiet 'of the operator' /etc/chancel/keyd.toml
  check "what was sealed before is opened" works
}

purged() {
  local said
  said=$(apt_ purge 'chancel*') || wrong "purge: $said"
  check_contains "a purge says what it keeps" "kept: private keys" "$said"
  check "without the marker keys and their secrets stay" \
    inside sh -c 'ls /var/lib/chancel-keyd/keys/* /var/lib/chancel-policyd/chancel.db /etc/chancel/credentials/kek.cred'
  check_not "configuration goes" inside test -e /etc/chancel/keyd.toml
  check "install again" apt_ install chancel-server
  check "what was sealed before is opened" works
  # With keys there and their key gone, nothing is made up in its place.
  inside mv /etc/chancel/credentials/kek.cred /root/kek.cred
  check_not "a lost key-encryption key is not replaced" inside /usr/libexec/chancel/credentials make
  inside mv /root/kek.cred /etc/chancel/credentials/kek.cred
  backup
  inside touch /etc/chancel/destroy-on-purge
  said=$(apt_ purge 'chancel*') || wrong "purge: $said"
  check_contains "with the marker a purge says what it destroys" "destroying private keys" "$said"
  check_equal "and nothing is left" "" \
    "$(inside sh -c 'ls -d /etc/chancel /var/lib/chancel-* /etc/apparmor.d/local/chancel-* 2>/dev/null || true')"
  check "install again" apt_ install chancel-server
  check_equal "it is a new installation" "[]" "$(inside chancel --json tenant list | member tenants)"
  restored
}

# As docs/operations/install.md says.
backup() {
  for name in kek api-key-secret; do
    inside /usr/libexec/chancel/credentials unseal "$name" >"$machine/$name"
  done
  inside systemctl stop chancel-gateway chancel-policyd chancel-keyd.socket chancel-keyd
  inside tar --create --directory=/var/lib --file=/srv/backup.tar chancel-keyd chancel-policyd
}

restored() {
  inside systemctl stop chancel-gateway chancel-policyd chancel-keyd.socket chancel-keyd
  for name in kek api-key-secret; do
    inside /usr/libexec/chancel/credentials seal "$name" <"$machine/$name"
  done
  inside sh -c 'rm -r /var/lib/chancel-*/* && tar -C /var/lib -xpf /srv/backup.tar'
  inside systemctl start chancel-keyd chancel-policyd chancel-gateway
  check "a backup brings keys, tenants and API keys back" within 15 works
}
