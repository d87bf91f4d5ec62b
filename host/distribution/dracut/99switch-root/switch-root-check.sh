#!/bin/sh
# Tries whether the switch would be refused. Process 1 that ends is a kernel panic; here
# there is still a shell. Sourced by the image's init, without systemd.

_switch_root_check() {
    local _init
    for _init in "$(getarg real_init=)" "$(getarg init=)" $(getargs rd.distroinit=) /sbin/init; do
        if [ -n "$_init" ] && { [ -x "$NEWROOT/$_init" ] || [ -h "$NEWROOT/$_init" ]; }; then
            break
        fi
    done
    if ! /usr/lib/switch-root/switch_root --plan --log error "$NEWROOT" "$_init" > /dev/null; then
        warn "switch-root would refuse to switch, for the reason above."
        warn "The policies can be left out with the kernel parameter switch_root.policies=default."
        emergency_shell -n switch-root "switch-root would refuse to switch"
    fi
}

_switch_root_check
