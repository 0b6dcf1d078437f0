# Purging destroys secrets and ledgers only when the marker says so: without them no key can be used and no decision
# proved again, and `apt purge` is typed too easily for that.
marker=/etc/chancel/destroy-on-purge
credentials=/etc/chancel/credentials

# In a directory, which may be a symbolic link to one.
anything_in() { # DIRECTORY
    [ -n "$(find "$1/" -mindepth 1 2>/dev/null | head -n 1)" ]
}

# A secret's, those that were replaced among them.
sealed_files() { # CREDENTIAL WHAT-FIND-DOES...
    name=$1
    shift
    if [ -d "$credentials" ]; then
        find "$credentials" -type f \( -name "$name.cred*" -o -name ".$name.*" -o -name "$name.made" \) "$@"
    fi
}

purge() { # WHAT DIRECTORY CREDENTIAL
    what=$1 directory=$2 sealed=$credentials/$3.cred
    if ! anything_in "$directory" && [ -z "$(sealed_files "$3" -print)" ]; then
        return 0
    fi
    if [ ! -e "$marker" ]; then
        echo "chancel: kept: $what, in $directory and $sealed (there is no $marker)"
        return 0
    fi
    echo "chancel: destroying $what, in $directory and $sealed ($marker exists)"
    # Without the sealed key the key files say nothing, so it is what is overwritten; large ledgers are only removed.
    sealed_files "$3" -exec shred -n 1 -u {} +
    # Its contents and not itself: it may be a mounted file system, or a symbolic link.
    if [ -d "$directory" ]; then
        find "$directory/" -mindepth 1 -delete
        if [ -L "$directory" ]; then
            rm "$directory"
        else
            rmdir "$directory" 2>/dev/null || echo "chancel: left: $directory, empty"
        fi
    fi
}

# The tokens between the daemons, and the marker, go with whichever package is purged last.
purge_shared() {
    if [ ! -e "$marker" ]; then
        return 0
    fi
    for other in chancel chancel-keyd chancel-policyd chancel-gateway; do
        # shellcheck disable=SC2016 # dpkg-query's variable
        if [ "$other" != "$DPKG_MAINTSCRIPT_PACKAGE" ] &&
            dpkg-query --show --showformat='${db:Status-Status}\n' "$other" 2>/dev/null | grep -qvx not-installed; then
            echo "chancel: $marker is kept until $other is purged too"
            return 0
        fi
    done
    for one in /var/lib/chancel-keyd /var/lib/chancel-policyd /etc/chancel/tls; do
        if anything_in "$one"; then
            echo "chancel: kept: $credentials, for $one, which an earlier purge has kept"
            credentials=
        fi
    done
    if [ -n "$credentials" ]; then
        echo "chancel: destroying the tokens between the daemons, in $credentials"
        if [ -d "$credentials" ]; then
            find "$credentials" -type f -exec shred -n 1 -u {} +
            rm -rf "$credentials"
        fi
    fi
    rm -f "$marker"
    echo "chancel: removed $marker: all of Chancel is purged"
    rmdir /etc/chancel 2>/dev/null || true
}
