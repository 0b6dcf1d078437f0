# shellcheck shell=bash
# One `apt install`, without an editor: a system that serves, with its secrets sealed, and the first steps as they are told.

scenario_install() {
  installed
  secrets_are_sealed
  first_steps
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
    "$(inside stat --format='%U %a' /run/chancel-tls/key.pem)"
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

first_steps() {
  check "chancel status works" inside chancel status
  check_contains "and says where the key-encryption key is from" credential "$(inside chancel status --json)"
  inside useradd --groups chancel-admin olga
  inside useradd stranger
  check "a member of chancel-admin may ask" inside runuser -u olga -- chancel status
  check_not "a stranger may not" inside runuser -u stranger -- chancel tenant list
  in_use
}
