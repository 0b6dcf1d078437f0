# shellcheck shell=bash
# What operators change: another certificate without a dropped connection, another address, every option that the
# shipped files show.

scenario_configure() {
  installed_and_in_use
  takes_another_certificate
  makes_one_by_itself
  listens_elsewhere
  listens_without_ipv6
  options_are_what_they_say
}

import() { inside chancel --json tls import "$@"; }

# In one file with its key, as some authorities give them.
pair() { # NAME
  # shellcheck disable=SC2016 # expanded by the inner shell
  inside sh -c 'umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -subj "/CN=$1" \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "/run/$1.key" -out "/run/$1.crt" 2>/dev/null && cat "/run/$1.key" "/run/$1.crt" >"/run/$1.pem"' pair "$1"
}

takes_another_certificate() {
  local before said
  before=$(call fingerprint)
  pair other
  said=$(import /run/other.pem /run/other.key 2>/dev/null) || wrong "another certificate is given: $said"
  check_equal "another certificate is given, and the gateway says that it serves it" serving "$(member gateway <<<"$said")"
  check_not "which is so" test "$(call fingerprint)" = "$before"
  check "clients that trust it are served" works
  check_not "what everybody can read has no key" inside grep -q PRIVATE /etc/chancel/tls/chain.pem
  before=$(call fingerprint)
  pair foreign
  said=$(import /run/other.pem /run/foreign.key 2>&1) && wrong "a key of another certificate is taken"
  check_contains "a key of another certificate is refused" "chancel: unfit: nothing was changed" "$said"
  said=$(import --no-reload /run/foreign.pem /run/foreign.key 2>/dev/null)
  check_equal "the gateway is not told of a certificate where that is not wanted" not-told "$(member gateway <<<"$said")"
  check_equal "and goes on with the one it had" "$before" "$(call fingerprint)"
  half_of_a_pair
  while_the_gateway_hears_nothing
  locked_by_others
  check "clients are served" works
  inside sh -c 'rm /run/other.* /run/foreign.*'
}

# As when power is lost in the middle of an import.
half_of_a_pair() {
  local said before
  before=$(call fingerprint)
  inside sh -c '/usr/libexec/chancel/credentials seal tls-key </run/other.key'
  check_not "a pair that does not fit does not get as far as the gateway" inside systemctl reload chancel-gateway
  check "which goes on" call fingerprint
  check_equal "with the certificate it had" "$before" "$(call fingerprint)"
  said=$(inside journalctl --unit chancel-gateway --lines 20 --output cat)
  check_contains "and its log says what mends it" "give both anew: chancel tls import CHAIN.pem KEY.pem" "$said"
  inside mv /etc/chancel/tls/chain.pem /run/kept.pem
  check_not "half of a pair is no reason to make a new one" inside systemctl restart chancel-gateway
  said=$(inside chancel doctor 2>/dev/null || true)
  check_contains "which the doctor knows" "do: chancel tls import brings one, with its key" "$said"
  check_not "nor promises" grep -q self-signed <<<"$said"
  inside systemctl stop chancel-gateway
  said=$(import /run/foreign.pem /run/foreign.key 2>&1) && wrong "a gateway that does not run was told"
  check_contains "a gateway that does not run cannot be told, and that is said" "chancel: not-reloaded: " "$said"
  inside systemctl start chancel-gateway
  check "the pair is whole, and it starts" works
}

# A reload that succeeds, and nobody heard.
while_the_gateway_hears_nothing() {
  local said
  inside sh -c 'mkdir -p /run/systemd/system/chancel-gateway.service.d &&
    printf "[Service]\nExecReload=\nExecReload=+/bin/true\n" >/run/systemd/system/chancel-gateway.service.d/deaf.conf &&
    systemctl daemon-reload'
  said=$(import /run/other.pem /run/other.key 2>&1) && wrong "another certificate is served, says somebody"
  check_contains "that the gateway serves another one is found out" "chancel: not-served: " "$said"
  inside sh -c 'rm -r /run/systemd/system/chancel-gateway.service.d && systemctl daemon-reload'
}

# Whoever can read a directory can lock it, and keep it.
locked_by_others() {
  inside systemd-run --quiet --unit holder --uid nobody flock /etc/chancel/tls sleep infinity
  check "somebody holds the directory" within 5 tls_directory_is_locked
  check "which hinders neither an import" import /run/other.pem /run/other.key
  check "nor a start" inside systemctl restart chancel-gateway
  inside systemctl stop holder
}

tls_directory_is_locked() { ! inside flock --nonblock /etc/chancel/tls true; }

# As the first start does.
makes_one_by_itself() {
  local said
  # The kernel takes it; the program `hostname` would not.
  inside python3 -c 'import socket; socket.sethostname("under_score")'
  check "a self-signed certificate, on a host whose name is none in DNS" \
    inside /usr/libexec/chancel/self-signed-certificate
  inside hostname chancel-test
  said=$(inside openssl x509 -in /etc/chancel/tls/chain.pem -noout -ext subjectAltName)
  check_contains "is for the names that are" "DNS:localhost, IP Address:127.0.0.1" "$said"
  check "and taken at a reload" inside systemctl reload chancel-gateway
  check "clients that trust it are served" within 10 works
  # shellcheck disable=SC2016 # expanded when it runs
  install -D -m 755 <(printf '#!/bin/sh\nkill -TERM $PPID\n') "$machine/root/srv/ends/openssl"
  check_not "what is ended in the middle of it makes none" \
    inside env PATH=/srv/ends:/usr/sbin:/usr/bin:/sbin:/bin /usr/libexec/chancel/self-signed-certificate
  check_equal "and leaves no key behind" "" "$(inside find /run -maxdepth 1 -name 'chancel-certificate.*')"
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
  check "and back on the address it had" inside systemctl restart chancel-gateway
}

# What the gateway meets on a kernel without IPv6: no socket of that family.
listens_without_ipv6() {
  check "the installed address is of both families" grep -q '^listen = "\[::\]:8443"' "$machine/root/etc/chancel/gateway.toml"
  inside sh -c 'mkdir -p /run/systemd/system/chancel-gateway.service.d &&
    printf "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX AF_INET\n" \
      >/run/systemd/system/chancel-gateway.service.d/ipv4.conf && systemctl daemon-reload'
  url=https://localhost:8443
  inside systemctl restart chancel-gateway
  check "without IPv6 it is served by IPv4" works
  check_contains "and that is said" "this kernel has no IPv6" \
    "$(inside journalctl --unit chancel-gateway --lines 20 --output cat)"
  check "for those on this host, too" inside chancel status
  inside sh -c 'rm -r /run/systemd/system/chancel-gateway.service.d && systemctl daemon-reload'
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
