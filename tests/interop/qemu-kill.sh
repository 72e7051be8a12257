#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The daemon is killed again and again under a guest's verified load: each request is done once,
# none is lost.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
need_qmp
bytes=$((16 << 20))
socket_properties=,reconnect=1

# serve NAME ARG...
serve()
{
	start_daemon "$1" --blk-file="$image" --num-queues=2 --log-level=debug "${@:2}"
}

# kill_daemon NAME
kill_daemon()
{
	{ kill -9 "${pids[$1]}"; end_process "$1"; } 2>/dev/null
}

# test_kill FORMAT PACKED ARG...: PACKED is 1 or 0.
test_kill()
{
	local name="$1 ring" disk=$1 packed=$2 round kicks

	shift 2
	disk_properties=,num-queues=2,queue-size=256,packed=$([ "$packed" = 0 ] && echo off || echo on)
	image "$disk" 64M
	serve "$disk" "$@"
	start_qemu_guest "$name" "$disk" BYTES=$bytes PACKED="$packed" <<'END'
equal "ring format" $PACKED "$(packed)"
start_load $BYTES 32
echo "LOADING"
read -r line
end_load "load"
END
	hear "$name" LOADING
	for round in 1 2 3; do
		load_goes_on "$name" "before kill $round"
		kill_daemon "$disk"
		serve "$disk" "$@"
		load_goes_on "$name" "after kill $round"
	done
	# Twice, with what was at work then.
	kill_daemon "$disk"
	kicks=$(messages "$disk" SET_VRING_KICK)
	serve "$disk" "$@"
	await "$name" 180 connected_again "$disk" "$kicks"
	kill_daemon "$disk"
	# A guest which is stopped when the daemon comes back.
	check "$name: stop" qmp "$name" stop
	serve "$disk" "$@"
	check "$name: continue" qmp "$name" cont
	load_goes_on "$name" "after two kills and a stop"
	say "$name" end
	end_qemu_guest "$name"
	check "$name, host: each block in the image is whole" \
		"$top_builddir/tests/interop/load" check "$image" $bytes
	[ "$(messages "$disk" SET_INFLIGHT_FD)" -ge 5 ]
	row $? "$name: QEMU kept what is in flight"
	stop_daemon "$disk"
}

# connected_again DAEMON KICKS: whether it has got that far into its setup; the log is the one of all
# before it too, which had so many of these.
connected_again()
{
	[ "$(messages "$1" SET_VRING_KICK)" -gt "$2" ]
}

qemu_args=(-smp 2)
test_kill split 0
test_kill packed 1 --threads=2
finish
