#!/bin/sh
until grep -q '^PPid:.1$' "/proc/$$/status"; do
	usleep 10000
done
: >/run/told/orphan.adopted
