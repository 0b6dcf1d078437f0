# shellcheck shell=bash
# Another implementation that people have: what the API gives out as a public key, OpenSSL reads, and what keyd signed it
# verifies. Debian 13 is the first whose OpenSSL knows the algorithms.

scenario_openssl() {
  local version said line
  version=$(inside openssl version)
  if ! inside openssl list -signature-algorithms | grep --quiet ML-DSA; then
    note "SKIPPED: $version does not know ML-DSA"
    return
  fi
  installed_and_in_use
  bring openssl.py
  note "$version"
  said=$(inside python3 /srv/openssl.py "$url" /srv/api-key 2>&1) || wrong "OpenSSL: $said"
  while IFS= read -r line; do
    passed "$line"
  done <<<"$said"
  check "it went through all algorithms that are standards" grep --quiet '^end: 18 algorithms' <<<"$said"
}
