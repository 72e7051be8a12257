#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# DPDK's virtio-user as front-end and driver, in each ring layout it has a path for: it forwards
# what the device sends, and the device checks that everything comes back unchanged and in order.

. "$(dirname "$0")/lib.sh"

need dpdk-testpmd dpdk-dev

packets=50000

# forward NAME WANTED OPTION...: WANTED is what the device says was negotiated.
forward()
{
	local name=$1 wanted=$2 socket=$tmp/$1.sock

	"$top_builddir/tests/interop/net_echo" "$socket" $packets >"$tmp/$name.out" 2>"$tmp/$name.log" &
	pids[$name]=$!
	wait_until 30 listening_or_gone "$name"
	# It forwards until a line comes on its standard input.
	rm -f "$tmp/stdin"
	mkfifo "$tmp/stdin"
	timeout 300 dpdk-testpmd --lcores 0@0,1@0-1 --no-huge -m 64 --no-pci --file-prefix="$$-$name" \
		--single-file-segments --vdev "net_virtio_user0,path=$socket,queues=1,$3" -- \
		--forward-mode=io --auto-start --total-num-mbufs=4096 --no-flush-rx >"$tmp/$name-dpdk.log" 2>&1 <"$tmp/stdin" &
	pids[$name-dpdk]=$!
	exec 9>"$tmp/stdin"
	end_process "$name"
	equal "$name: the device's exit status" 0 $?
	equal "$name: what came back" "$packets packets $wanted" "$(cat "$tmp/$name.out")"
	echo >&9
	exec 9>&-
	end_process "$name-dpdk" || echo "# dpdk-testpmd ended with status $?"
}

forward split 'split mergeable' queue_size=256,mrg_rxbuf=1,in_order=0
forward plain 'split' queue_size=256,mrg_rxbuf=0,in_order=0
forward in-order 'split in-order mergeable' queue_size=256,mrg_rxbuf=1,in_order=1
forward packed 'packed mergeable' queue_size=256,mrg_rxbuf=1,in_order=0,packed_vq=1
forward packed-plain 'packed' queue_size=512,mrg_rxbuf=0,in_order=0,packed_vq=1
forward packed-in-order 'packed in-order mergeable' queue_size=256,mrg_rxbuf=1,in_order=1,packed_vq=1
forward vectorized 'packed in-order' queue_size=256,mrg_rxbuf=0,in_order=1,packed_vq=1,vectorized=1
finish
