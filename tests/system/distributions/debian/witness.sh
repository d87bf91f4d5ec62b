#!/bin/sh
# Writes what this boot came to as files, and these as an archive to the second disk. Where
# there is /etc/soft-reboot, user space was started anew before, once.
if [ -e /run/rebooting ]; then
	rm /run/rebooting
elif [ -e /etc/soft-reboot ]; then
	systemctl is-system-running --wait
	srctl status --wait 60
	cp /run/switch-root/report.json /run/before.json
	: >/run/rebooting
	systemctl soft-reboot
	exec sleep infinity
fi
mkdir /run/told
cd /run/told || exit
systemctl is-system-running --wait >state
systemctl is-active multi-user.target >multi-user
systemctl --failed --no-legend --plain >failed
# Where somebody else switched there is none of this, and perhaps no srctl.
if [ -e /run/switch-root/report.json ]; then
	# Until the deletion has ended.
	srctl status --wait 60 >status.txt 2>&1
	echo $? >status.code
	srctl status --format json >status.json
	cp /run/switch-root/report.json .
	# All that is left, where it is not the copies of what policies keep.
	left=/run/switch-root/private/initramfs
	[ -d "$left" ] || left=/run/switch-root/preserved
	(cd "$left" && find .) >preserved
	cat /run/switch-root/preserved/conf/initramfs.conf \
		/run/switch-root/preserved/usr/lib/dracut/build-parameter.txt >kept 2>/dev/null
	cat /etc/carried >carried
	(: >>/etc/carried) 2>carried.error
fi
cat /proc/meminfo >meminfo
cat /proc/self/mountinfo >mountinfo
readlink /proc/1/exe >init
if [ -e /run/before.json ]; then
	cp /run/before.json .
	systemctl show --property SoftRebootsCount --value >soft-reboots
fi
journalctl -b SYSLOG_IDENTIFIER=switch_root -o json >journal
find . -type f | cpio --quiet -o -H newc >/dev/vdb
