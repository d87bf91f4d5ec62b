#!/bin/sh
# The first that init starts.
mkdir /run/told
echo "$PPID" >/run/told/begun-by
