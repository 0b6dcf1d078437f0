# Purging destroys secrets and ledgers only when the marker says so: without them no key can be used and no decision
# proved again, and `apt purge` is typed too easily for that.
marker=/etc/chancel/destroy-on-purge
credentials=/etc/chancel/credentials

purge() { # WHAT DIRECTORY CREDENTIAL
    what=$1 directory=$2 sealed=$credentials/$3.cred
    if [ ! -e "$directory" ] && [ ! -e "$sealed" ]; then
        return 0
    fi
    if [ ! -e "$marker" ]; then
        echo "chancel: kept: $what, in $directory and $sealed (there is no $marker)"
        return 0
    fi
    echo "chancel: destroying $what, in $directory and $sealed ($marker exists)"
    # Without the sealed key the key files say nothing, so it is what is overwritten; large ledgers are only removed.
    if [ -e "$sealed" ]; then
        shred -n 1 -u "$sealed"
    fi
    # Its contents and not itself first: it may be a mounted file system.
    if [ -d "$directory" ]; then
        find "$directory" -mindepth 1 -delete
        rmdir "$directory" || true
    fi
}

# The tokens between the daemons, and the marker, go with whichever is purged last.
purge_shared() {
    if [ ! -e "$marker" ]; then
        return 0
    fi
    for one in /var/lib/chancel-keyd /var/lib/chancel-policyd /etc/chancel/tls \
        /usr/sbin/chancel-keyd /usr/sbin/chancel-policyd /usr/sbin/chancel-gateway; do
        if [ -e "$one" ]; then
            return 0
        fi
    done
    echo "chancel: destroying the tokens between the daemons, in $credentials"
    find "$credentials" -name '*.cred' -exec shred -n 1 -u {} +
    rm -rf "$credentials"
    rm -f "$marker"
    rmdir /etc/chancel 2>/dev/null || true
}
