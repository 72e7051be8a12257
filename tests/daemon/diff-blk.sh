#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The same random requests give the same data, status and used length as with qemu-storage-daemon,
# and the same image, for each engine and cache mode of the daemon.
#
# DIFF_SEED=N repeats a run, DIFF_COUNT=N makes it longer.

. "$(dirname "$0")/../interop/lib.sh"

diff_blk=${DIFF_BLK:-$top_builddir/tests/daemon/diff_blk}

need qemu-storage-daemon qemu-system-common

# start_peer NAME IMAGE WRITABLE: qemu-storage-daemon at $tmp/NAME.sock.
start_peer()
{
	local mode=read-only=off
	local export="type=vhost-user-blk,id=export,node-name=file,writable=$3"

	[ "$3" = on ] || mode=read-only=on
	qemu-storage-daemon \
		--blockdev "driver=file,node-name=file,filename=$2,discard=unmap,$mode" \
		--export "$export,addr.type=unix,addr.path=$tmp/$1.sock" \
		>>"$tmp/$1.log" 2>&1 &
	pids[$1]=$!
	wait_until 30 listening_or_gone "$1" && listening "$1"
}

compare()
{
	"$diff_blk" ${DIFF_SEED:+--seed="$DIFF_SEED"} ${DIFF_COUNT:+--count="$DIFF_COUNT"} \
		"$tmp/$1.sock" "$direct/$1.img" "$tmp/peer-$1.sock" "$direct/peer-$1.img"
}

# test_daemon NAME PEER-WRITABLE DAEMON-OPTION...
test_daemon()
{
	local name=$1 writable=$2

	shift 2
	# Not a whole number of pages, and nothing in it that looks like anything else.
	head -c $((8 * 1024 * 1024 + 5 * 512)) /dev/urandom >"$direct/$name.img"
	cp "$direct/$name.img" "$direct/peer-$name.img"
	check "$name: qemu-storage-daemon listens" \
		start_peer "peer-$name" "$direct/peer-$name.img" "$writable"
	start_daemon "$name" --blk-file="$direct/$name.img" --serial=vhost_user_blk "$@"
	compare "$name"
	row $? "$name: no difference"
	stop_daemon "$name"
	kill "${pids[peer-$name]}" && end_process "peer-$name"
	rm "$direct/$name.img" "$direct/peer-$name.img"
}

direct_folder
row $? "there is a file system with O_DIRECT"
for engine in uring aio threads; do
	for cache in writeback none writethrough; do
		test_daemon $engine-$cache on --engine=$engine --cache=$cache
	done
done
test_daemon read-only off --read-only
finish
