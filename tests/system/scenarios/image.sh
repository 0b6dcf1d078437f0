# shellcheck shell=bash
# Packages installed into a file system that is not running, as images are made: no secret is in the image, and each
# machine that boots it makes its own.

# As its builder runs programs in it, who may show it /proc and a /run in which a systemd runs.
# shellcheck disable=SC2016 # the inner shell expands
in_image() {
  unshare --mount --propagation private sh -euc 'root=$1
    shift
    mount -t tmpfs none "$root/run"
    mkdir -p "$root/run/systemd/system"
    mount --bind /proc "$root/proc"
    exec chroot "$root" "$@"' sh "$machine/root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@" 2>&1
}

before_boot_image() {
  local said
  # As systemd's own package leaves it; whoever makes an image empties it in the end.
  in_image systemd-machine-id-setup >/dev/null
  in_image apt-get --quiet update >/dev/null
  said=$(in_image apt-get --quiet --yes install chancel-server) || wrong "apt install in an image: $said"
  check_equal "the image has no secret" "" \
    "$(find "$machine"/root/{etc/chancel,var/lib/systemd} -name '*.cred' -o -name '*.pem' -o -name credential.secret)"
  : >"$machine/root/etc/machine-id"
}

scenario_image() {
  local names
  # Nobody waits for them here as apt does, so they may still be starting.
  check "the three services start by themselves" within 20 \
    inside systemctl is-active chancel-keyd chancel-policyd chancel-gateway
  check "chancel status works" inside chancel status
  names=$(inside sh -c 'cd /etc/chancel/credentials && ls *.cred' | xargs)
  check_equal "and has made its secrets" \
    "api-key-secret.cred gateway-keyd.cred gateway-policyd.cred kek.cred policyd-keyd.cred tls-key.cred" "$names"
  check_equal "no daemon started before they were there" "0 0 0" \
    "$(inside systemctl show --property=NRestarts --value chancel-keyd chancel-policyd chancel-gateway | xargs)"
}
