#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compare two network back-ends which lead nowhere, back-end and load on a core each.
#
#   tests/bench/net.sh [--a=WHAT] [--b=WHAT] [--sizes=BYTES,...] [options of bench_net]
#
# WHAT is ours, ours:--OPTION,--OPTION... (of vhost-user-net), or dpdk (testpmd, which polls all the
# time); the default is ours:--poll-us=200 against dpdk.  Without --to-guest and without --packed
# both directions and both kinds of ring are measured.  Environment: VHOST_USER_NET,
# BENCH_NET and TESTPMD name the programs; top_builddir says where the first two were built.  It
# only prints; slowness is no failure.
set -u
. "$(dirname "$0")/lib.sh"

daemon=${VHOST_USER_NET:-$top_builddir/net/vhost-user-net}
bench=${BENCH_NET:-$top_builddir/tests/bench/bench_net}
testpmd=${TESTPMD:-dpdk-testpmd}
a=ours:--poll-us=200 b=dpdk sizes=64,1500
options=() directions=("" --to-guest) rings=("" --packed)

for arg; do
	case $arg in
	--a=*) a=${arg#*=} ;;
	--b=*) b=${arg#*=} ;;
	--sizes=*) sizes=${arg#*=} ;;
	--from-guest) directions=("") ;;
	--to-guest) directions=(--to-guest) ;;
	--split) rings=("") ;;
	--packed) rings=(--packed) ;;
	--help) sed -n '3,12s/^# \?//p' "$0"; exit 0 ;;
	*) options+=("$arg") ;;
	esac
done

# Start back-end WHAT under the name NAME for packets of SIZE, towards the guest if so, and set
# target to what bench_net wants.
start()
{
	local name=$1 what=$2 size=$3 direction=$4 args=${2#*:} socket=$work/$1.sock mode

	[[ $what == *:* ]] || args=
	rm -f "$socket"
	case $what in
	ours*)
		need "$daemon" "build it, or set VHOST_USER_NET"
		# shellcheck disable=SC2086 # one word per option
		taskset -c 1 "$daemon" --socket-path="$socket" --port=null \
			${direction:+--packet-size=$size} ${args//,/ } &
		;;
	dpdk)
		need "$testpmd" "Debian has it in dpdk-dev"
		mode=${direction:+txonly}
		"$testpmd" --lcores 0@1,1@1 --no-huge -m 256 --no-pci --no-shconf \
			--file-prefix="bench-$$-$name" --vdev "net_vhost0,iface=$socket,queues=1" -- \
			--forward-mode="${mode:-rxonly}" --auto-start --disable-link-check \
			--total-num-mbufs=16384 --txpkts="$size" --stats-period=100000 >"$work/$name.log" 2>&1 &
		;;
	*) die "$what: want ours or dpdk" ;;
	esac
	pids+=($!)
	target="$name ${what//=/ }=$!:$socket"
	wait_for "$socket" $!
}

need "$bench" "build it with make check, or set BENCH_NET"
begin /tmp

for direction in "${directions[@]}"; do
	for ring in "${rings[@]}"; do
		for size in ${sizes//,/ }; do
			targets=()
			start a "$a" "$size" "$direction"
			targets+=("$target")
			start b "$b" "$size" "$direction"
			targets+=("$target")
			# shellcheck disable=SC2086 # nothing, or one word
			taskset -c 0 "$bench" --size="$size" $direction $ring "${options[@]}" "${targets[@]}"
			end_all
		done
	done
done
