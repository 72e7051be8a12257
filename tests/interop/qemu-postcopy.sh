#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest moves under a verified load, and runs at its new home before its memory is there.

. "$(dirname "$0")/lib-migrate.sh"

bytes=$((16 << 20))

capabilities()
{
	check "$1: postcopy" qmp "$1" migrate-set-capabilities \
		capabilities='[{"capability": "postcopy-ram", "state": true}]'
}

# Others than root may handle their own faults only, not those of system calls, if this is 0.
may_handle_faults()
{
	[ "$(id -u)" -eq 0 ] || [ "$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null)" = 1 ]
}

may_handle_faults || skip_all "userfaultfd is for root only (vm.unprivileged_userfaultfd)"

# move FROM TO: switch over while most of the memory is still at the old home.
move()
{
	leave "$1" "$2" max-bandwidth=$((8 << 20)) max-postcopy-bandwidth=$((64 << 20)) downtime-limit=1
	check "$1 to $2: memory is on its way" \
		qmp "$1" --until status=active query-migrate
	load_goes_on "$1" "while it is logged"
	check "$1 to $2: change over" qmp "$1" migrate-start-postcopy
	arrive "$1" "$2"
	[ "$(qmp "$1" --get ram.postcopy-requests query-migrate)" -gt 0 ]
	row $? "$1 to $2: pages were asked for"
	[ "$(messages "$2" POSTCOPY_END)" -eq 1 ]
	row $? "$1 to $2: the daemon took part"
	close_house "$1"
	load_goes_on "$2" "after the move"
}

# test_postcopy FORMAT PACKED ARG...: PACKED is 1 or 0.
test_postcopy()
{
	local a=$1-a b=$1-b c=$1-c

	daemon_args=(--num-queues=2 "${@:3}")
	disk_properties=,num-queues=2,packed=$([ "$2" = 0 ] && echo off || echo on)
	guest_log=$tmp/guest-$1.log
	image "$1" 64M

	start_loaded_home "$a" "$2"
	capabilities "$a"
	hear "$a" LOADING
	load_goes_on "$a" "at first"
	open_house "$b"
	move "$a" "$b"
	# The new home is an old one then.
	open_house "$c"
	move "$b" "$c"
	end_loaded_home "$c" "$1"
}

qemu_args=(-smp 2)
test_postcopy split 0
test_postcopy packed 1 --threads=2
finish
