# An older version than some cannot read what this one has written, and would stand there with every key out of reach.
# So packages refuse to make way for one, and one refuses to come where it could not read. In each of the packages, for
# dpkg may begin with any of them, and the first must stop it.
oldest_reader=@OLDEST_READER@
# Of policyd's database.
schema=@SCHEMA@
database=/var/lib/chancel-policyd/chancel.db

makes_way_for() { # VERSION
    if dpkg --compare-versions "$1" lt "$oldest_reader"; then
        echo "chancel: refused: version $1 cannot read what this one has written; $oldest_reader is the oldest that can." >&2
        echo "chancel: a backup from before the upgrade is the way back: /usr/share/doc/chancel/operations/install.md" >&2
        exit 1
    fi
}

# SQLite keeps both numbers in the first bytes of its file: of whom, and of which schema.
can_read_what_is_there() {
    if [ ! -s "$database" ] || [ "$(dd if="$database" bs=1 skip=68 count=4 2>/dev/null)" != CHNC ]; then
        return 0
    fi
    # shellcheck disable=SC2046 # four numbers
    set -- $(od -An -tu1 -j60 -N4 "$database")
    found=$((($1 << 24) + ($2 << 16) + ($3 << 8) + $4))
    if [ "$found" -gt "$schema" ]; then
        echo "chancel: refused: $database has schema $found, and this version knows up to $schema." >&2
        echo "chancel: it was written by a newer version; install that, or one after it." >&2
        exit 1
    fi
}
