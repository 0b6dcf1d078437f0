# shellcheck shell=bash
# Who gets an answer at the daemons' sockets, on an installed system: SECURITY.md's A-3 (code in the gateway) and A-6
# (another account). tests/tests/attacker asks the same more closely, of daemons that it starts itself.

scenario_sockets() {
  installed_and_in_use
  bring knock.py
  inside useradd stranger
  inside useradd --groups chancel-admin olga
  a_stranger_is_refused_before_a_byte_is_read
  strangers_in_a_crowd_stop_nobody
  the_gateways_account_alone_opens_nothing
  the_admin_socket_is_for_its_group_alone
  code_in_the_gateway_uses_no_key_without_a_permit
}

# As the gateway sees the world, and not as root's programs do: its unit's mounts hold its credentials.
knock() { # ACCOUNT ARGUMENTS...
  local account=$1 version
  shift
  version=$(sed -n 's/^pub const PROTOCOL_VERSION: u16 = \(.*\);$/\1/p' "$here/../../wire/src/limits.rs")
  inside setpriv --reuid "$account" --regid "$account" --init-groups --inh-caps=-all --bounding-set=-all \
    --no-new-privs env PROTOCOL_VERSION="$version" python3 /srv/knock.py "$@" 2>&1
}

readonly keyd_socket=/run/chancel-keyd/keyd.sock
readonly policyd_socket=/run/chancel-policyd/policyd.sock
readonly admin_socket=/run/chancel-policyd/admin.sock

a_stranger_is_refused_before_a_byte_is_read() {
  local socket
  for socket in "$keyd_socket" "$policyd_socket" "$admin_socket"; do
    check_equal "a stranger who says nothing is closed at $socket" closed "$(knock stranger connect "$socket")"
    check_equal "and so is one who introduces itself" closed "$(knock stranger hello "$socket" gateway)"
  done
}

# The sockets are open to all by their permissions; this is what that costs.
strangers_in_a_crowd_stop_nobody() {
  local daemon
  inside systemd-run --quiet --unit=crowd --uid=stranger \
    python3 /srv/knock.py crowd "$keyd_socket" "$policyd_socket" "$admin_socket"
  check "keyd is crowded" within 10 refuses_thousands
  for daemon in "${daemons[@]}"; do
    inside systemctl restart "$daemon"
    check "service is back after a restart of $daemon in the crowd" within 15 works
  done
  check "and chancel status works" inside chancel status
  check "the crowd is still there" inside systemctl is-active crowd
  inside systemctl stop crowd
}

refuses_thousands() {
  local refused
  refused=$(inside python3 -c 'import urllib.request as u
text = u.urlopen("http://127.0.0.1:9464/metrics").read().decode()
print(sum(float(line.split()[-1]) for line in text.splitlines()
          if line.startswith("chancel_keyd_connections_refused_total") and "wrong-account" in line))')
  [[ ${refused%.*} -gt 2000 ]]
}

the_gateways_account_alone_opens_nothing() {
  local role
  for role in gateway policyd operator; do
    check_equal "without a token the gateway's account is no $role to keyd" closed \
      "$(knock chancel-gateway hello "$keyd_socket" "$role")"
  done
  check_equal "nor a gateway to policyd" closed "$(knock chancel-gateway hello "$policyd_socket" gateway)"
  check_equal "with its token it is welcome at keyd" welcome \
    "$(knock chancel-gateway hello "$keyd_socket" gateway /run/credentials/chancel-gateway.service/gateway-keyd)"
  check_equal "but as policyd it is not" closed \
    "$(knock chancel-gateway hello "$keyd_socket" policyd /run/credentials/chancel-gateway.service/gateway-keyd)"
}

the_admin_socket_is_for_its_group_alone() {
  local account
  for account in chancel-gateway chancel-keyd stranger; do
    check_equal "$account is refused at the admin socket" closed "$(knock "$account" hello "$admin_socket" operator)"
  done
  for account in root chancel-policyd olga; do
    check_equal "$account is welcome at the admin socket" welcome "$(knock "$account" hello "$admin_socket" operator)"
  done
}

code_in_the_gateway_uses_no_key_without_a_permit() {
  local said
  inside install -m 444 /srv/api-key /srv/seen-api-key
  said=$(knock chancel-gateway attack /srv/seen-api-key) || wrong "the attack: $said"
  check_contains "keyd refuses a use without a permit" "no permit: forged" "$said"
  check_contains "and under one that was made up" "made up: forged" "$said"
  check_contains "and under one that was changed to another key" "for another key: forged" "$said"
  check_contains "and under one for another message" "for another message: for-another-payload" "$said"
  check_contains "policyd's permit works" "its own: done" "$said"
  check_contains "and not a second time" "again: replayed" "$said"
}
