# shellcheck shell=bash
# A machine as a virtual one: Debian's own kernel with limits and AppArmor, a disk that loses what it was not told to keep,
# and a TPM. The processor is emulated, so no host needs to allow anything; it takes minutes. Sourced by ./run.

# Without no_timer_check the kernel waits for a timer that an emulated machine does not have; the last is what `chancel doctor`
# says where secret memory is off, which before Linux 6.5 it is.
readonly virtual_arguments="console=ttyS0 no_timer_check quiet panic=-1 secretmem.enable=1"

# Which TPM it has when it is booted next: a name, or none.
virtual_tpm=

virtual_begin() {
  packages=$container_packages,linux-image-cloud-amd64,udev,apparmor,tpm2-tools,openssh-server,busybox-static
  patience=10
  virtual_tpm=
}

# The root becomes a disk.
virtual_disk() {
  local root=$machine/root
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$machine/key"
  install -D -m 600 "$machine/key.pub" "$root/root/.ssh/authorized_keys"
  printf '[Match]\nDriver=virtio_net\n[Network]\nAddress=10.0.2.15/24\n' >"$root/etc/systemd/network/outside.network"
  systemctl --quiet --root="$root" enable systemd-networkd.service
  cp "$root"/boot/vmlinuz-* "$machine/kernel"
  chroot "$root" sh -euc "$virtual_initrd" >"$machine/initrd"
  # The file is empty, so nothing has to be zeroed, now or by the kernel later.
  mkfs.ext4 -q -E lazy_itable_init=0,assume_storage_prezeroed=1 -d "$root" "$machine/disk" 4G >/dev/null
  rm -rf --one-file-system "$root"
}

# What Debian makes for any machine takes long where the processor is emulated. This one has a disk, and that is all. (Not an
# NVMe disk, for which the kernel needs no driver from here: to that it forces single writes through instead of flushing, and
# the log of writes does not mark those; a synced file was lost.)
# shellcheck disable=SC2016 # expanded in the root
readonly virtual_initrd='
here=$(mktemp -d)
cp /bin/busybox "$here/busybox"
version=$(ls /usr/lib/modules)
modprobe --set-version "$version" --show-depends --all virtio_pci virtio_blk ext4 | sed -n "s/^insmod //p" |
  while read -r module; do
    case $module in
      *.xz) busybox xzcat "$module" ;;
      *) cat "$module" ;;
    esac >"$here/$(basename "${module%.xz}")"
    echo "/busybox insmod /$(basename "${module%.xz}")"
  done >"$here/modules"
cat >"$here/init" <<TEXT
#!/busybox sh
. /modules
/busybox mount -t devtmpfs devices /dev
/busybox mount -t ext4 /dev/vda /root
/busybox mount -o move /dev /root/dev
exec /busybox switch_root /root /sbin/init
TEXT
chmod 755 "$here/init"
mkdir "$here/dev" "$here/root"
cd "$here"
find . | cpio --quiet --create --format=newc
rm -r "$here"
'

# In a network namespace that has nothing but this machine's ports. The disk keeps what was flushed: it writes to a copy, and
# a log says in which order, and when it was flushed (virtual_ended).
virtual_start() {
  local options=()
  [[ -e $machine/disk ]] || virtual_disk
  cp --sparse=always "$machine/disk" "$machine/disk.cached"
  : >"$machine/disk.log"
  if [[ -n $virtual_tpm ]]; then
    mkdir -p "$machine/tpm-$virtual_tpm"
    # It ends when the machine does.
    swtpm socket --tpm2 --daemon --terminate --tpmstate "dir=$machine/tpm-$virtual_tpm" \
      --ctrl "type=unixio,path=$machine/tpm.socket"
    options+=(-chardev "socket,id=tpm,path=$machine/tpm.socket" -tpmdev "emulator,id=tpm,chardev=tpm")
    options+=(-device "tpm-tis,tpmdev=tpm")
  fi
  setsid unshare --net sh -c 'ip link set lo up && exec "$@"' sh \
    qemu-system-x86_64 -accel tcg -machine q35 -cpu max -smp 1 -m 2560 -no-reboot \
    -nodefaults -no-user-config -display none -serial "file:$machine/console" \
    -kernel "$machine/kernel" -initrd "$machine/initrd" -append "$virtual_arguments" \
    -blockdev "driver=raw,node-name=cached,file.driver=file,file.filename=$machine/disk.cached" \
    -blockdev "driver=file,node-name=log,filename=$machine/disk.log" \
    -blockdev driver=blklogwrites,node-name=disk,file=cached,log=log -device virtio-blk-pci,drive=disk \
    -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:22-:22,hostfwd=tcp:127.0.0.1:8443-:8443 \
    -device virtio-net-pci,netdev=net,romfile= "${options[@]}" </dev/null >"$machine/qemu.log" 2>&1 &
  holder=$!
  # Its end is what was asked for, and nothing for the shell to speak of.
  disown "$holder"
}

virtual_find_leader() { leader=$holder; }

virtual_ssh=(ssh -q -F none -l root -o ConnectTimeout=30 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
  -o ControlMaster=auto -o ControlPersist=yes)

# One connection carries all. What is run is words, as it is in a container, and not a line for a shell to take apart.
virtual_inside() {
  local words
  printf -v words '%q ' "$@"
  nsenter --target "$leader" --net -- "${virtual_ssh[@]}" -i "$machine/key" -S "$machine/ssh" 127.0.0.1 "$words"
}

virtual_entrance() {
  printf 'nsenter --target %s --net %s -i %s 127.0.0.1' "$leader" "${virtual_ssh[*]:0:6}" "$machine/key"
}

# Whether it was switched off or lost: what has not been flushed is gone.
virtual_ended() {
  ssh -q -F none -S "$machine/ssh" -O exit 127.0.0.1 2>/dev/null || true
  rm -f "$machine/ssh"
  virtual_lost=$(python3 "$here/flushed.py" "$machine/disk.log" "$machine/disk")
}

virtual_kill() { kill -KILL "$holder" 2>/dev/null || true; }
