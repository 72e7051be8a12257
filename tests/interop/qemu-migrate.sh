#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest moves between QEMUs under a verified load: once given up, then there, and back.

. "$(dirname "$0")/lib-migrate.sh"

bytes=$((16 << 20))

# more_rounds HOME ROUNDS: the guest has looked so often for pages to send.
more_rounds()
{
	[ "$(qmp "$1" --get ram.dirty-sync-count query-migrate)" -ge "$2" ]
}

# test_migrate FORMAT PACKED ARG...: PACKED is 1 or 0.
test_migrate()
{
	local a=$1-a b=$1-b c=$1-c guest=$1

	daemon_args=(--num-queues=2 "${@:3}")
	disk_properties=,num-queues=2,queue-size=1024,packed=$([ "$2" = 0 ] && echo off || echo on)
	guest_log=$tmp/guest-$1.log
	image "$1" 64M

	start_loaded_home "$a" "$2"
	hear "$a" LOADING
	load_goes_on "$a" "at first"

	# Given up while pages are sent for the second time.
	open_house "$b"
	leave "$a" "$b" max-bandwidth=$((32 << 20)) downtime-limit=1
	check "$a to $b: pages are sent again" await "$a" 240 more_rounds "$a" 3
	load_goes_on "$a" "while it is logged"
	equal "$a to $b: given up" cancelled \
		"$(qmp "$a" --get status --until status=cancelled migrate_cancel , query-migrate)"
	load_goes_on "$a" "after that"
	abandon_house "$b"

	open_house "$b"
	leave "$a" "$b" max-bandwidth=$((128 << 20)) downtime-limit=300
	arrive "$a" "$b"
	close_house "$a"
	load_goes_on "$b" "after the first move"

	open_house "$c"
	leave "$b" "$c" max-bandwidth=$((128 << 20)) downtime-limit=300
	arrive "$b" "$c"
	close_house "$b"
	load_goes_on "$c" "after the second move"
	end_loaded_home "$c" "$guest"
}

qemu_args=(-smp 2)
test_migrate split 0
test_migrate packed 1 --threads=2
finish
