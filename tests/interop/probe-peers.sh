#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# vhost-probe and vhost-bench with other projects' back-ends, unchanged: qemu-storage-daemon and
# DPDK's net_vhost. What the probe finds there is printed, not judged; what the tools themselves do
# is: they come to an end, they know the device, and the load goes through.

. "$(dirname "$0")/lib.sh"

probe=$top_builddir/tools/vhost-probe
bench=$top_builddir/tools/vhost-bench

# peer_ready NAME
peer_ready()
{
	wait_until 60 listening_or_gone "$1" && listening "$1"
	row $? "$1: it listens" || finish
}

start_qsd()
{
	truncate -s 16M "$tmp/$1.img"
	qemu-storage-daemon --blockdev "driver=file,node-name=file,filename=$tmp/$1.img" \
		--export "type=vhost-user-blk,id=e,node-name=file,addr.type=unix,addr.path=$tmp/$1.sock,writable=on" \
		>"$tmp/$1.log" 2>&1 &
	pids[$1]=$!
	peer_ready "$1"
}

start_dpdk()
{
	# It ends when its standard input does.
	rm -f "$tmp/stdin"
	mkfifo "$tmp/stdin"
	timeout 600 dpdk-testpmd --lcores 0@0,1@0-1 --no-huge -m 64 --no-pci --file-prefix="$$-$1" \
		--vdev "net_vhost0,iface=$tmp/$1.sock,queues=1" -- --forward-mode=rxonly --auto-start \
		--total-num-mbufs=4096 --no-lsc-interrupt >"$tmp/$1.log" 2>&1 <"$tmp/stdin" &
	pids[$1]=$!
	exec 9>"$tmp/stdin"
	peer_ready "$1"
}

# The peer may have been ended by the last rows.
end_peer()
{
	exec 9>&-
	kill "${pids[$1]}" 2>/dev/null
	end_process "$1" 2>/dev/null
	:
}

# record NAME WORD: all rows, with the result as comments; the tool's own status is 0 or 1.
record()
{
	local name=$1 word=$2 status

	timeout 300 "$probe" --conformance --timeout-ms=1000 "$tmp/$name.sock" >"$tmp/$name.rows" 2>&1
	status=$?
	[ $status -le 1 ]
	row $? "$name: all rows were tried" || echo "# status $status"
	check "$name: the device is known" grep -q "^device: *$word" "$tmp/$name.rows"
	check "$name: the rows are summed up" grep -q "^[0-9]* passed, " "$tmp/$name.rows"
	grep -A1 '^fail' "$tmp/$name.rows" | comment
	tail -n 1 "$tmp/$name.rows" | comment
}

# load NAME WORD ARG...
load()
{
	local name=$1 word=$2

	shift 2
	timeout 120 "$bench" "$@" "$tmp/$name.sock" >"$tmp/$name.load" 2>&1 && grep -q "$word" "$tmp/$name.load"
	row $? "$name: load: $*" || comment <"$tmp/$name.load"
}

# compared NAME ARG...: vhost-bench starts both by itself, ours and the peer; figures are not judged.
compared()
{
	local name=$1

	shift
	timeout 300 "$bench" compare "$@" >"$tmp/$name.compared" 2>&1 &&
		grep -q "^per second .*(.*)" "$tmp/$name.compared"
	row $? "$name: compared" || comment <"$tmp/$name.compared"
}

if command -v qemu-storage-daemon >/dev/null; then
	compared qsd blk --rounds=1 --requests=5000 --packed --second-split -- \
		"$daemon" --socket-path={} --engine=null --size=1G -- \
		qemu-storage-daemon --blockdev driver=null-co,node-name=disk,size=1073741824 \
		--export type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path={},writable=on
	start_qsd qsd
	load qsd "verified  *4096 requests" blk --rw=write --verify --requests=4096
	load qsd "verified  *5000 requests" blk --rw=randread --verify --requests=5000 --indirect --poll
	load qsd "verified" blk --rw=randrw --verify --requests=5000 --depth=1
	record qsd "block device"
	end_peer qsd
else
	row 0 "qemu-storage-daemon # SKIP package qemu-utils is not installed"
fi

if command -v dpdk-testpmd >/dev/null; then
	for direction in tx rx; do
		forward=rxonly size=
		[ $direction = tx ] || forward=txonly size=--packet-size=64
		# A command with a "--" of its own goes into a shell.
		# shellcheck disable=SC2086 # nothing, or one word
		compared "dpdk $direction" net --dir=$direction --rounds=1 --requests=20000 --poll --mergeable -- \
			"$top_builddir/net/vhost-user-net" --socket-path={} --port=null $size -- \
			sh -c "exec dpdk-testpmd --lcores 0@0,1@0-1 --no-huge -m 64 --no-pci --no-shconf \
				--file-prefix=$$-compared --vdev net_vhost0,iface={},queues=1 -- \
				--forward-mode=$forward --auto-start --total-num-mbufs=4096 --no-lsc-interrupt"
	done
	start_dpdk dpdk
	load dpdk "sent" net --requests=20000
	load dpdk "sent" net --requests=20000 --size=1500 --packed --poll
	load dpdk "sent" net --requests=20000 --poll --mergeable --indirect --size=5000
	load dpdk "sent" net --requests=20000 --packed --in-order --irq
	record dpdk "network"
	end_peer dpdk
else
	row 0 "dpdk-testpmd # SKIP package dpdk-dev is not installed"
fi
finish
