# shellcheck shell=bash
# `./dev build`: the programs as they are shipped, and the same bytes wherever they are built. Sourced by ./dev.

# The four programs that are shipped.
readonly shipped=(chancel-keyd chancel-policyd chancel-gateway chancel-cli)
# Where the profile `dist` puts them.
readonly dist=${CARGO_TARGET_DIR:-$root/target}/dist

build() (
  setup build
  forget_places
  # One package at a time: building the workspace at once would give each the union of all features.
  for package in "${shipped[@]}" "$@"; do
    step "build $package"
    cargo build --profile dist --locked -p "$package"
  done
)

# Programs name the files they were made of, in panics and in debugging information. They are to name them alike whoever
# built them: a place in a home directory is nobody's business, and would be another program for each builder.
forget_places() {
  local cargo_home=${CARGO_HOME:-$HOME/.cargo} sysroot commit place
  cargo fetch --locked --quiet
  sysroot=$(rustc --print sysroot)
  commit=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
  local places=("${dist%/dist}=target" "$sysroot/lib/rustlib/src/rust=/rustc/$commit")
  for place in "$cargo_home"/registry/src/*/; do
    places+=("${place%/}=registry")
  done
  for place in "${places[@]}"; do
    RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$place"
    CFLAGS="${CFLAGS:-} -ffile-prefix-map=$place"
    CXXFLAGS="${CXXFLAGS:-} -ffile-prefix-map=$place"
  done
  # The clone's own place is for its own crates alone: as a flag for all it would have every clone compile the libraries anew.
  # By its name and not its path, which cargo would have become a part of what the crates are called.
  PATH=$root/dev.d:$PATH
  RUSTC_WORKSPACE_WRAPPER=rustc-here
  export RUSTFLAGS CFLAGS CXXFLAGS RUSTC_WORKSPACE_WRAPPER
}

# Copies the shipped binaries out of cargo's way: `cargo test` builds the workspace at once and would replace them by
# ones with unified features. The place is open to the accounts that the tests run the daemons under, which a target
# directory below a closed home directory is not.
copy_shipped() { # DIRECTORY
  mkdir -p "$1"
  chmod 755 "$1"
  for name in chancel-keyd chancel-policyd chancel-gateway chancel; do
    install -m 755 "$dist/$name" "$1/$name"
  done
}

# A clone in another place, with another target directory: what is committed must come to the same bytes there.
reproduce() {
  [[ -z $(git status --porcelain) ]] || fail "reproduce compares what is committed, and there are changes"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  build
  copy_shipped "$scratch/here"
  git clone --quiet "$root" "$scratch/another/place"
  CARGO_TARGET_DIR=$scratch/another/target "$scratch/another/place/dev" build
  for name in chancel-keyd chancel-policyd chancel-gateway chancel; do
    cmp "$scratch/here/$name" "$scratch/another/target/dist/$name" || fail "$name: other bytes"
  done
  (cd "$scratch/here" && sha256sum -- *)
}
