# shellcheck shell=bash
# Removed, installed again, purged, brought back from a backup: keys are destroyed only when it was said.

scenario_life() {
  installed_and_in_use
  removed_and_installed_again
  purged
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
