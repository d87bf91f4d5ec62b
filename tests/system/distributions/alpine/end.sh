#!/bin/sh
# The last that init starts: tells everything.
cd /run/told || exit
echo "$PPID" >ended-by
find . -type f | cpio -o -H newc >/dev/vdb
