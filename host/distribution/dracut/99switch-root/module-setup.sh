#!/bin/bash
# Without systemd in the initramfs, switch-root takes the place of switch_root. With it,
# the switch is systemd's, and a unit asks the policies before it.
# Installed to /usr/lib/dracut/modules.d/99switch-root/: after every module that brings a
# switch_root, since modules are installed in the order of their names.
# shellcheck disable=SC2154 # dracut sets initdir, outfile and the directories of systemd

# called by dracut
check() {
    # An image for some mounts of a running system, as kdump's, starts no machine.
    [[ $mount_needs ]] && return 1
    [[ -x ${dracutsysrootdir-}/usr/lib/switch-root/into-image ]] || return 1
    return 0
}

# called by dracut
depends() {
    echo base
    return 0
}

# Ends dracut, which takes no notice of a module's status. Nothing was written then.
_switch_root_refuse() {
    dfatal "switch-root: $*"
    exit 1
}

# dracut removes the image that there is where the new one does not fit.
_switch_root_look_at_room() {
    local _binary=$1 _added _free _image=${outfile-}
    [[ -f $_image ]] || return 0
    _free=$(df -kP "${_image%/*}" | awk 'NR == 2 { print $4 }')
    _added=$(($(gzip -1 < "$_binary" | wc -c) / 1024))
    [[ $_free && $_added -gt $_free ]] || return 0
    # It may have been made with this module: then no more room is needed.
    if lsinitrd "$_image" 2> /dev/null | grep -q usr/lib/switch-root/switch_root; then
        return 0
    fi
    _switch_root_refuse "the image grows by some $_added KiB, and $_free KiB are free in ${_image%/*}; no image is made, and $_image stays as it is. Remove kernels that are not needed, or set BINARY=aot in /etc/switch-root/initramfs.conf"
}

# In place of every switch_root of the image, and where its init looks first.
_switch_root_replace() {
    local _ours=$1 _folder _place
    for _folder in usr/sbin usr/bin sbin bin; do
        _place=$initdir/$_folder/switch_root
        [[ -e $_place || -L $_place ]] || continue
        [[ $(readlink "$_place") == "$_ours" ]] && continue
        # It stays, for somebody who has to start the machine by hand.
        mv -f "$_place" "$_place.stock" && ln -s "$_ours" "$_place" || return 1
    done
    if ! [[ -L $initdir/usr/sbin/switch_root ]]; then
        mkdir -p "$initdir/usr/sbin" && ln -s "$_ours" "$initdir/usr/sbin/switch_root" || return 1
    fi
    # Some builds of busybox take a name for their own command before they look for a
    # program, but not a path.
    if [[ $(readlink -f "$initdir/bin/sh") == *busybox* ]]; then
        # shellcheck disable=SC2016 # it is the text of the other script
        sed -i 's,\$(command -v switch_root),/usr/sbin/switch_root,' "$initdir/init"
    fi
}

# The unit, where a distribution has its units, and what its [Install] section says.
_switch_root_enable() {
    local _unit=$1
    inst_simple "$systemdsystemunitdir/$_unit" || return 1
    $SYSTEMCTL -q --root "$initdir" enable "$_unit"
}

# called by dracut
install() {
    local _root=${dracutsysrootdir-} _binary
    local _ours=/usr/lib/switch-root/switch_root _unit=switch-root-preserve.service

    if ! _binary=$("$_root/usr/lib/switch-root/into-image" "$initdir" "${_root:-/}"); then
        _switch_root_refuse "no image is made, for the reason above"
    fi
    _switch_root_look_at_room "$_binary"

    mkdir -p "$initdir/usr/lib/switch-root"
    if ! { cp -L "$_binary" "$initdir$_ours" && chmod 0755 "$initdir$_ours"; }; then
        _switch_root_refuse "$_binary cannot be copied into the image"
    fi
    if dracut_module_included "systemd"; then
        _switch_root_enable "$_unit" || _switch_root_refuse "$_unit cannot be put into the image"
        return 0
    fi
    _switch_root_replace "$_ours" || _switch_root_refuse "switch_root cannot be replaced in the image"
    inst_hook cleanup 99 "$moddir/switch-root-check.sh"
}
