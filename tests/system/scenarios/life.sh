# shellcheck shell=bash
# Removed, installed again, purged, brought back from a backup: keys are destroyed only when it was said.

scenario_life() {
  installed_and_in_use
  ledgers_set_aside_as_told
  removed_and_installed_again
  purged_in_part
  purged
}

# By the commands of the page on it, of which the first must keep keyd stopped, though its clients knock.
ledgers_set_aside_as_told() {
  local commands
  commands=$(told audit.md ledger.aside)
  bring knock.py
  inside sh -c 'cd /srv && chancel audit public-key --output audit.pem'
  check "what audit.md has stopped is stopped" typed "$(head -n 1 <<<"$commands")"
  inside python3 /srv/knock.py connect /run/chancel-keyd/keyd.sock >/dev/null 2>&1 || true
  check_not "keyd does not come back when somebody knocks" inside systemctl is-active chancel-keyd
  check "ledgers are set aside as it tells" typed "$(tail -n +2 <<<"$commands")"
  check "what was sealed is opened" within 15 works
  check "and the new ones are sound" ledgers_are_sound
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

# The marker is for all that is installed, so it outlives the purge of a part, and says so.
purged_in_part() {
  local said
  inside touch /etc/chancel/destroy-on-purge
  said=$(apt_ purge chancel-gateway) || wrong "purge of the gateway: $said"
  check_contains "a purge of the gateway destroys its key" "destroying certificate and TLS key" "$said"
  check_contains "and says that the marker is still there" "destroy-on-purge is kept until" "$said"
  check_not "certificate and key are gone" \
    inside sh -c 'ls /etc/chancel/tls/* /etc/chancel/credentials/tls-key.cred 2>/dev/null'
  check "and the others' keys are not" \
    inside sh -c 'ls /var/lib/chancel-keyd/keys/* /etc/chancel/credentials/kek.cred'
  inside rm /etc/chancel/destroy-on-purge
  check "install again" apt_ install chancel-server
  check "what was sealed before is opened" works
}

purged() {
  local said
  said=$(apt_ purge 'chancel*') || wrong "purge: $said"
  check_contains "a purge says what it keeps" "kept: private keys" "$said"
  check "without the marker keys and their secrets stay" \
    inside sh -c 'ls /var/lib/chancel-keyd/keys/* /var/lib/chancel-policyd/chancel.db /etc/chancel/credentials/kek.cred'
  check_not "configuration goes" inside test -e /etc/chancel/keyd.toml
  # Made now it would be found by a purge in years, of something else.
  inside touch /etc/chancel/destroy-on-purge
  # No name in DNS, and one that systemd takes for a host's.
  inside python3 -c 'import socket; socket.sethostname("chancel_test")'
  said=$(apt_ install chancel-server) || wrong "install again: $said"
  check_contains "the first steps name a host that can be asked for" "https://localhost:8443" "$said"
  inside hostname chancel-test
  check_not "a marker from before does not reach this installation" inside test -e /etc/chancel/destroy-on-purge
  check "what was sealed before is opened" works
  # With keys there and their key gone, nothing is made up in its place.
  inside mv /etc/chancel/credentials/kek.cred /root/kek.cred
  check_not "a lost key-encryption key is not replaced" inside /usr/libexec/chancel/credentials make
  inside mv /root/kek.cred /etc/chancel/credentials/kek.cred
  backup
  apt_ remove 'chancel*' >/dev/null
  # Where somebody has it on another disk.
  inside mv /var/lib/chancel-policyd /srv/policyd
  inside ln -s /srv/policyd /var/lib/chancel-policyd
  inside touch /etc/chancel/destroy-on-purge
  said=$(apt_ purge 'chancel*') || wrong "purge: $said"
  check_contains "with the marker a purge says what it destroys" "destroying private keys" "$said"
  check_contains "and that all is gone" "all of Chancel is purged" "$said"
  check_equal "and nothing is left" "" \
    "$(inside sh -c 'ls -d /etc/chancel /var/lib/chancel-* /etc/apparmor.d/local/chancel-* /srv/policyd/* 2>/dev/null || true')"
  check "install again" apt_ install chancel-server
  check_equal "it is a new installation" "[]" "$(inside chancel --json tenant list | member tenants)"
  restored
}

# As docs/operations/backup.md says, with the daemons stopped.
backup() {
  local name
  for name in kek api-key-secret; do
    inside /usr/libexec/chancel/credentials unseal "$name" >"$machine/$name"
  done
  inside systemctl stop chancel-gateway chancel-policyd chancel-keyd.socket chancel-keyd
  inside tar --create --directory=/var/lib --file=/srv/backup.tar chancel-keyd chancel-policyd
}

restored() {
  local name
  inside systemctl stop chancel-gateway chancel-policyd chancel-keyd.socket chancel-keyd
  inside sh -c 'rm -r /var/lib/chancel-*/*'
  for name in kek api-key-secret; do
    inside /usr/libexec/chancel/credentials seal "$name" <"$machine/$name"
  done
  inside tar -C /var/lib -xpf /srv/backup.tar
  inside systemctl start chancel-keyd chancel-policyd chancel-gateway
  check "a backup brings keys, tenants and API keys back" within 15 works
}
