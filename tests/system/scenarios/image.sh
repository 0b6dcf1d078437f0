# shellcheck shell=bash
# Packages installed into a file system that is not running, as images are made: no secret is in the image, and each
# machine that boots it makes its own.

before_boot_image() {
  # As systemd's own package leaves it; whoever makes an image empties it in the end.
  in_image systemd-machine-id-setup >/dev/null
  installed_in_image
  check_equal "the image has no secret" "" \
    "$(find "$machine"/root/{etc/chancel,var/lib/systemd} -name '*.cred' -o -name '*.pem' -o -name credential.secret)"
  : >"$machine/root/etc/machine-id"
}

scenario_image() {
  local names
  started_by_themselves
  check "chancel status works" inside chancel status
  names=$(inside sh -c 'cd /etc/chancel/credentials && ls *.cred' | xargs)
  check_equal "and has made its secrets" \
    "api-key-secret.cred gateway-keyd.cred gateway-policyd.cred kek.cred policyd-keyd.cred tls-key.cred" "$names"
  check_equal "no daemon started before they were there" "0 0 0" \
    "$(inside systemctl show --property=NRestarts --value chancel-keyd chancel-policyd chancel-gateway | xargs)"
}
