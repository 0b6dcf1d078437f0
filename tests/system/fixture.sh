# shellcheck shell=bash
# Packages of an earlier commit, to be upgraded from: built once and kept. Sourced by ./run.

# The first that had packages. A release takes its place when there is one.
readonly earlier_commit=0ee9f9a709f4d33a8b5b234d6a140b7254edb763

# Prints where they are; nothing when that commit is not to be had, as in a clone without history.
earlier_packages() {
  local repository=${here%/tests/system} short=${earlier_commit:0:7} kept scratch
  kept=${XDG_CACHE_HOME:-$HOME/.cache}/chancel/fixtures/$short
  if ! compgen -G "$kept/*.deb" >/dev/null; then
    git -C "$repository" cat-file -e "$earlier_commit^{commit}" 2>/dev/null || return 0
    scratch=$(mktemp -d)
    printf 'building the packages of %s; once, for some minutes\n' "$short" >&2
    # A clone and not a work tree: it leaves nothing in the repository, whatever ends it.
    git clone --quiet --no-checkout "$repository" "$scratch/source"
    git -C "$scratch/source" checkout --quiet "$earlier_commit"
    if ! CARGO_TARGET_DIR=$scratch/target "$scratch/source/dev" deb --output "$scratch/debs" >"$scratch/log" 2>&1; then
      tail -n 20 "$scratch/log" >&2
      rm -rf "$scratch"
      die "the packages of $short cannot be built"
    fi
    # Under its own name when it is whole.
    mkdir -p "$(dirname "$kept")"
    mv "$scratch/debs" "$kept.new"
    mv "$kept.new" "$kept"
    rm -rf "$scratch"
  fi
  printf '%s\n' "$kept"
}
