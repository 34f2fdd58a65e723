# Makes the lab's host of a Debian tree: our files on top, the units we need on, the rest off.
# Arguments: the tree's root, the folder of our files.
root=$1
files=$2

cp -r --no-preserve=mode,ownership "$files/." "$root/"
chmod 755 "$root/usr/local/sbin/lab-init"
chmod 600 "$root/etc/ssh/sshd_config"

chroot "$root" systemctl enable --quiet lab-net.service lab-dns.service ssh.service docker.service
chroot "$root" systemctl set-default --quiet multi-user.target
# Nothing here logs in on a terminal, changes the disk or installs packages by timer.
chroot "$root" systemctl mask --quiet console-getty.service getty.target \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
    e2scrub_reap.service systemd-timesyncd.service systemd-udevd.service systemd-udev-trigger.service \
    systemd-resolved.service systemd-networkd.service

# Every lab gets its own keys and identity.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*.log
