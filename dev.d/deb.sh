# shellcheck shell=bash
# `./dev deb`: the Debian packages, of what `./dev build` has built. Sourced by ./dev.

deb() {
  local output=${CARGO_TARGET_DIR:-$root/target}/deb binaries= twice=no version
  while (($# > 0)); do
    case $1 in
      --output | --binaries)
        (($# >= 2)) || fail "deb: $1 needs a directory"
        # What the caller wrote is relative to where the caller was.
        case $1 in
          --output) output=$(cd "$caller_directory" && realpath -m "$2") ;;
          --binaries) binaries=$(cd "$caller_directory" && realpath -e "$2") ;;
        esac
        shift
        ;;
      --twice) twice=yes ;;
      *) fail "deb knows --output DIR, --binaries DIR and --twice, not '$1'" ;;
    esac
    shift
  done
  # Before there are packages beside what is committed.
  version=$(deb_version)
  setup deb
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  if [[ -z $binaries ]]; then
    build
    binaries=$scratch/binaries
    copy_shipped "$binaries"
  fi
  step "packages"
  pack "$binaries" "$scratch/once" "$output"
  if [[ $twice == yes ]]; then
    step "packages, a second time and under other circumstances"
    deb_twice "$binaries" "$output"
  fi
  step "AppArmor profiles"
  # Parsed and not loaded: nothing is asked of this kernel.
  apparmor_parser --skip-kernel-load --skip-cache --quiet packaging/deb/apparmor/*
  step "lintian"
  lintian --fail-on error,warning --tag-display-limit 0 "$output"/*.deb
  printf '\n'
  (cd "$output" && sha256sum -- *.deb)
}

# The version of Cargo.toml, as Debian sorts it: a pre-release comes before its release. What is made of anything but a
# commit says so.
deb_version() {
  local version changes
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
  [[ -n $version ]] || fail "no version in Cargo.toml"
  changes=$(git status --porcelain)
  printf '%s%s\n' "${version/-/\~}" "${changes:++dirty}"
}

pack() { # BINARIES SCRATCH OUTPUT, as $version
  local binaries=$1 tree=$2/chancel output=$3 name
  # The one thing in a package that is neither a file of the repository nor a program: when that commit was made.
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
  export SOURCE_DATE_EPOCH
  mkdir -p "$tree/bin" "$output"
  for name in chancel-keyd chancel-policyd chancel-gateway chancel; do
    install -m 755 "$binaries/$name" "$tree/bin/$name"
  done
  # Out of git and not of the directory: what lies about there is not shipped.
  git archive HEAD packaging docs CHANGELOG.md SECURITY.md | tar -x -C "$tree"
  deb_worktree_changes "$tree"
  mv "$tree/packaging/deb" "$tree/debian"
  cp "$tree"/packaging/systemd/*.{service,socket} "$tree/debian/"
  mv "$tree/debian/chancel-credentials.service" "$tree/debian/chancel.chancel-credentials.service"
  cp "$tree/packaging/systemd/sysusers.conf" "$tree/debian/chancel.sysusers"
  # The newest schema that these programs know: a file a version, which a test of policyd's holds.
  find policyd/src/store/migrations -name '*.sql' | wc -l >"$tree/debian/schema"
  cat >"$tree/debian/changelog" <<TEXT
chancel ($version) unstable; urgency=medium

  * What changed is in /usr/share/doc/chancel/CHANGELOG.md.

 -- $(sed -n 's/^Maintainer: //p' "$tree/debian/control")  $(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" -R)
TEXT
  # Programs are not to be stripped or compressed by somebody's taste.
  (cd "$tree" && env -u DEB_BUILD_OPTIONS -u DEB_BUILD_PROFILES debian/rules binary) >"$2/log" 2>&1 ||
    {
      cat "$2/log"
      fail "packing failed"
    }
  rm -f "$output"/chancel*.deb
  mv "$2"/*.deb "$output/"
}

# While they are being worked on, changes count that are not committed yet; they make it another input.
deb_worktree_changes() { # TREE
  local file
  while IFS= read -r -d '' file; do
    if [[ -f $file ]]; then
      mkdir -p "$1/$(dirname "$file")"
      cp -p "$file" "$1/$file"
    else
      rm -f "$1/$file"
    fi
  done < <(git diff -z --name-only HEAD -- packaging docs CHANGELOG.md SECURITY.md &&
    git ls-files -z --others --exclude-standard -- packaging docs)
}

# Elsewhere, at another time of day, by somebody with other habits: the same bytes.
deb_twice() { # BINARIES OUTPUT
  local again=$scratch/a/longer/path/than/before name
  mkdir -p "$again"
  (
    umask 027
    export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 LANG=C.UTF-8 HOME=$again
    git() { command git -c safe.directory="$root" "$@"; }
    pack "$1" "$again" "$scratch/again"
  )
  for name in "$2"/chancel*.deb; do
    cmp "$name" "$scratch/again/${name##*/}" || fail "${name##*/}: the second build has other bytes"
  done
  echo "the same bytes: $(cd "$2" && echo chancel*.deb)"
}
