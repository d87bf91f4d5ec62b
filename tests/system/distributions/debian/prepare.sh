# Makes a Debian a witness of its own boots, and leaves out what a virtual machine would only
# wait for. Executed by `sh -e` on the disk; /run/shared is the folder with the other files.

# As an installer writes it: the root is mounted read-only at first.
echo '/dev/vda / ext4 rw 0 0' >/etc/fstab
echo debian >/etc/hostname
# Not its first boot, at which systemd has more to do.
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
# Where policies carry something to.
: >/etc/carried

install -m 0755 /run/shared/witness.sh /usr/local/sbin/witness
units=/etc/systemd/system
install -m 0644 /run/shared/witness.service "$units"
mkdir -p "$units/multi-user.target.wants"
ln -sf ../witness.service "$units/multi-user.target.wants/"

# Nobody logs in, and the machine is off before any timer is due.
for unit in getty.target getty-static.service serial-getty@ttyS0.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer systemd-tmpfiles-clean.timer e2scrub_reap.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount \
    modprobe@configfs.service modprobe@drm.service modprobe@fuse.service \
    modprobe@efi_pstore.service modprobe@dm_mod.service modprobe@loop.service; do
    ln -sf /dev/null "$units/$unit"
done
