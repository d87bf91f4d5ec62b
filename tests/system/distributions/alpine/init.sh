#!/bin/busybox sh
# Finds the root, moves what is mounted into it, and switches, as the initramfs of Alpine
# Linux does: nothing but busybox is here, and nothing is mounted on /run.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do
	insmod "$module"
done
until [ -b /dev/vda ] && [ -b /dev/vdb ]; do
	usleep 10000
done
mount -t ext4 /dev/vda /sysroot
for place in /dev /proc /sys; do
	mount -o move "$place" "/sysroot$place"
done
exec switch_root /sysroot /sbin/init
