# shellcheck shell=bash
# What operators change: another certificate without a dropped connection, another address, every option that the
# shipped files show.

scenario_configure() {
  installed_and_in_use
  takes_another_certificate
  listens_elsewhere
  options_are_what_they_say
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
