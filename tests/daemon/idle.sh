#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Daemons which have nothing to do: no thread wakes up, but for the signs of life which the service
# manager wants, whoever is connected; and they take little memory.

. "$(dirname "$0")/lib-cli.sh"

[ "${SANITIZER-no}" = no ] || skip_all "sanitizers have memory, and some a thread, of their own"

memory_max=6144		# KiB of its own

# How often the daemon's threads have gone to sleep.
sleeps()
{
	awk '/^voluntary_ctxt_switches:/ { n += $2 } END { print n }' "/proc/${pids[$1]}"/task/*/status
}

# quiet NAME: it is there, and nobody wakes up in two seconds; what was begun before may end first.
quiet()
{
	local before end

	before=$(sleeps "$1") end=$((SECONDS + 3))
	[ "${before:-0}" -gt 0 ] || return 1
	while [ $SECONDS -lt $end ]; do
		[ "$(sleeps "$1")" = "$before" ] || return 1
	done
}

# What would be gone if the daemon were: private pages that it has written, in KiB.
own_memory()
{
	awk '/^Private_Dirty:/ { n += $2 } END { print n }' "/proc/${pids[$1]}/smaps_rollup"
}

small()
{
	local kib

	kib=$(own_memory "$1")
	comment <<<"$kib KiB of its own"
	[ "$kib" -gt 0 ] && [ "$kib" -lt $memory_max ]
}

# front_end NAME MODE ARG...: it is there and has got on with it.
front_end()
{
	local name=$1

	shift
	"$give_fd" "$@" >"$tmp/$name.out" 2>&1 &
	pids[$name]=$!
	wait_until 30 grep -q ready "$tmp/$name.out"
	row $? "$name: $1"
}

# told NAME WORD: how many datagrams with it have come.
told()
{
	grep -c "$2" "$tmp/$1.told" 2>/dev/null
}

# As often as it gave a sign of life since then, and no more often.
only_signs()
{
	[ $(($(sleeps "$1") - $2)) -eq $(($(told "$1" WATCHDOG) - $3)) ]
}

# alone TYPE RINGS ARG...: with nothing but its socket.
alone()
{
	local type=$1 rings=$2

	shift 2
	cli_of "$type"
	start_daemon "$type" "$@"
	check "$type: without a front-end no thread wakes up" wait_until 30 quiet "$type"
	check "$type: little memory" small "$type"
	front_end "$type-rings" empty "$tmp/$type.sock" "$rings"
	check "$type: with a front-end neither" wait_until 30 quiet "$type"
	stop_daemon "$type"
	end_process "$type-rings"
}

# with_all TYPE RINGS ARG...: with threads, a configuration, clients of all sockets, and a watchdog.
with_all()
{
	local type=$1 rings=$2 name=$1-all before signs

	shift 2
	cli_of "$type"
	"$top_builddir/tests/daemon/notified" "$tmp/$name.notify" >"$tmp/$name.told" 2>&1 &
	pids[$name.manager]=$!
	wait_until 30 told "$name" listening >/dev/null
	echo '{ "log-level": "info", "threads": 2 }' >"$tmp/$name.json"
	# A sign of life each 500 ms.
	NOTIFY_SOCKET=$tmp/$name.notify WATCHDOG_USEC=1000000 start_daemon "$name" "$@" \
		--config="$tmp/$name.json" --control="$tmp/$name.control" \
		--metrics="$tmp/$name.metrics" --poll-us=100
	front_end "$name-rings" empty "$tmp/$name.sock" "$rings"
	front_end "$name-client" mute "$tmp/$name.control"
	front_end "$name-scraper" mute "$tmp/$name.metrics"
	check "$name: statistics are asked for" "$top_builddir/tools/vhostctl" "$tmp/$name.control" stats
	check_metrics "$name"
	sleep_counted "$name"
	check "$name: little memory" small "$name"
	stop_daemon "$name"
	end_process "$name-rings"
	end_process "$name-client"
	end_process "$name-scraper"
	kill "${pids[$name.manager]}"
	end_process "$name.manager" 2>/dev/null
}

# check_metrics NAME: with the parser of the program which tests them, if there is Check.
check_metrics()
{
	local parser=$top_builddir/tests/daemon/test_metrics

	[ -x "$parser" ] || return 0
	"$top_builddir/tools/vhostctl" "$tmp/$1.control" metrics >"$tmp/$1.metrics-text"
	METRICS_TEXT=$tmp/$1.metrics-text "$parser" >"$tmp/$1.parsed" 2>&1
	row $? "$1: metrics are what OpenMetrics allows" || comment <"$tmp/$1.parsed"
}

# From one sign of life on, which is behind it when it sleeps again.
sleep_counted()
{
	local before signs end

	signs=$(told "$1" WATCHDOG)
	wait_until 30 more_signs "$1" $((signs + 1))
	for end in 1 2 3 4 5; do
		signs=$(told "$1" WATCHDOG) before=$(sleeps "$1")
		wait_until 30 more_signs "$1" $((signs + 4))
		wait_until 2 only_signs "$1" "$before" "$signs" && break
	done
	only_signs "$1" "$before" "$signs"
	row $? "$1: nobody wakes up but for the signs of life ($end)"
}

more_signs()
{
	[ "$(told "$1" WATCHDOG)" -ge "$2" ]
}

truncate -s 16M disk
alone blk 4 --blk-file=disk
alone scsi 4 --lun=0,file=disk
alone net 2 --port=null
with_all blk 8 --blk-file=disk
with_all scsi 8 --lun=0,file=disk
with_all net 4 --port=null --queue-pairs=2
finish
