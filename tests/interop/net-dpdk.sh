#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# DPDK's virtio-user as front-end and driver of vhost-user-net, in each ring layout it has a path
# for and with several queues: it forwards what comes from the tap back to there, where
# wire_echo.c checks that everything returns, and unchanged.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-net.sh"

need dpdk-testpmd dpdk-dev

packets=30000

# queue_counter NUMBER WORD: what the daemon, which has ended, says that a queue has done.
queue_counter()
{
	sed -n "s/.*: queue $1: .*\<$2 \([0-9]*\).*/\1/p" "$tmp/$testpmd.log"
}

# total PARITY WORD: the same, of all queues which receive (0) or send (1).
total()
{
	local queue sum=0

	for ((queue = $1; queue < 2 * pairs; queue += 2)); do
		sum=$((sum + $(queue_counter $queue "$2")))
	done
	echo $sum
}

# Each pair has seen something of so many flows.
all_pairs_work()
{
	local queue

	for ((queue = 0; queue < 2 * pairs; queue++)); do
		[ "$(queue_counter $queue packets)" -gt 0 ] || { echo "queue $queue did nothing"; return 1; }
	done
}

# Nothing was lost on the way, and each packet counted.
counters_are_right()
{
	local word parity

	for word in malformed too_long refused no_link; do
		for parity in 0 1; do
			[ "$(total $parity $word)" -eq 0 ] || { echo "$word: $(total $parity $word)"; return 1; }
		done
	done
	for parity in 0 1; do
		[ "$(total $parity packets)" -ge $packets ] || { echo "packets: $(total $parity packets)"; return 1; }
		[ "$(total $parity bytes)" -ge $((packets * 60)) ] || { echo "bytes: $(total $parity bytes)"; return 1; }
	done
	# What was sent to the driver has come from it again.
	[ "$(total 0 packets)" -ge "$(total 1 packets)" ] || { echo "more came from the driver"; return 1; }
}

forwarding_or_gone()
{
	grep -q "Press enter" "$tmp/$testpmd-dpdk.log" || gone "${pids[$testpmd-dpdk]}"
}

# forward NAME PAIRS FEATURES OPTION [DAEMON_OPTION...]: FEATURES are numbers of bits which are on,
# or off if there is a - before.
forward()
{
	local bit acked

	testpmd=$1 pairs=$2
	start_daemon "$testpmd" --tap="$testpmd" --up --queue-pairs="$pairs" --log-level=debug "${@:5}"
	# It forwards until a line comes on its standard input.
	rm -f "$tmp/stdin"
	mkfifo "$tmp/stdin"
	timeout 300 stdbuf -oL dpdk-testpmd --lcores 0@0,1@0-1 --no-huge -m 128 --no-pci --file-prefix="$$-$testpmd" \
		--single-file-segments --vdev "net_virtio_user0,path=$tmp/$testpmd.sock,queues=$pairs,$4" -- \
		--forward-mode=io --auto-start --total-num-mbufs=8192 --no-flush-rx \
		--rxq="$pairs" --txq="$pairs" >"$tmp/$testpmd-dpdk.log" 2>&1 <"$tmp/stdin" &
	pids[$testpmd-dpdk]=$!
	exec 9>"$tmp/stdin"
	# A tap sends a flow where it came from: all queues are to be there before there are flows.
	wait_until 60 forwarding_or_gone
	equal "$testpmd: what came back" "$packets packets" \
		"$("$top_builddir/tests/interop/wire_echo" "$testpmd" $packets $((pairs > 1 ? 32 : 1)) 2>&1)"
	acked=$(sed -n 's/.*: features 0x\([0-9a-f]*\) negotiated$/\1/p' "$tmp/$testpmd.log" | tail -n 1)
	for bit in $3; do
		equal "$testpmd: feature ${bit#-}" "$([ "${bit#-}" = "$bit" ] && echo 1 || echo 0)" \
			$((0x${acked:-0} >> ${bit#-} & 1))
	done
	echo >&9
	exec 9>&-
	end_process "$testpmd-dpdk" || echo "# dpdk-testpmd ended with status $?"
	stop_daemon "$testpmd"
	check "$testpmd: counters" counters_are_right
	check "$testpmd: all pairs" all_pairs_work
}

# MRG_RXBUF is 15, IN_ORDER 35, RING_PACKED 34.
forward split 1 "15 -34 -35" queue_size=256,mrg_rxbuf=1,in_order=0
forward plain 1 "-15 -34 -35" queue_size=256,mrg_rxbuf=0,in_order=0
forward in-order 1 "15 -34 35" queue_size=256,mrg_rxbuf=1,in_order=1 --threads=1
forward packed 1 "15 34 -35" queue_size=256,mrg_rxbuf=1,in_order=0,packed_vq=1
forward packed-plain 1 "-15 34 -35" queue_size=512,mrg_rxbuf=0,in_order=0,packed_vq=1
forward packed-in-order 1 "15 34 35" queue_size=256,mrg_rxbuf=1,in_order=1,packed_vq=1 --poll-us=50
forward vectorized 1 "-15 34 35" queue_size=256,mrg_rxbuf=0,in_order=1,packed_vq=1,vectorized=1
forward split-4 4 "15 -34 22" queue_size=256,mrg_rxbuf=1,in_order=0 --threads=2
forward packed-4 4 "15 34 22" queue_size=256,mrg_rxbuf=1,in_order=0,packed_vq=1
finish
