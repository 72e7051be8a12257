#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compare two network back-ends on taps, or one with a bare loop of system calls on a tap; back-end
# and load on a core each, in a network namespace which goes with this script.
#
#   tests/bench/tap.sh [--a=WHAT] [--b=WHAT] [--sizes=BYTES,...] [options of bench_tap]
#
# WHAT is ours, or the path of another vhost-user-net, either with :--OPTION,--OPTION...; dpdk
# (testpmd between net_vhost and net_tap), bare (a loop of writev() or readv()), or whole (write()
# instead of writev()); the default is ours against bare. Without --to-guest or --from-guest both
# directions are measured.
# Environment: VHOST_USER_NET, BENCH_TAP and TESTPMD name the programs; top_builddir says where
# the first two were built.  It only prints; slowness is no failure.
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers.sh"

a=ours b=bare sizes=64,1514,65000
options=() directions=(tx rx)

if [[ ${BENCH_NAMESPACE:-} != "$$" ]]; then
	need unshare "it is in util-linux"
	BENCH_NAMESPACE=$$ exec unshare -n "$BASH" "$0" "$@"
fi

for arg; do
	case $arg in
	--a=*) a=${arg#*=} ;;
	--b=*) b=${arg#*=} ;;
	--sizes=*) sizes=${arg#*=} ;;
	--from-guest | --dir=tx) directions=(tx) ;;
	--to-guest | --dir=rx) directions=(rx) ;;
	--help) sed -n '3,15s/^# \?//p' "$0"; exit 0 ;;
	*) options+=("$arg") ;;
	esac
done

# Start back-end WHAT under the name NAME, and set target to what bench_tap wants.
start()
{
	local name=$1 what=$2 args=${2#*:} socket=$work/$1.sock

	[[ $what == *:* ]] || args=
	rm -f "$socket"
	case $what in
	ours* | /*)
		local net=$net

		[[ $what == ours* ]] || net=${what%%:*}
		# shellcheck disable=SC2086 # one word per option
		net_command --tap="tap-$name" --up ${args//,/ }
		;;
	dpdk)
		testpmd_command io --vdev "net_tap0,iface=tap-$name"
		;;
	bare | whole) target=$what; return ;;
	*) die "$what: want ours, a path, dpdk, bare or whole" ;;
	esac
	taskset -c 1 "${command[@]//\{\}/"$socket"}" >"$work/$name.log" 2>&1 &
	pids+=($!)
	target="$name ${what//[=:\/]/ }=$!:$socket:tap-$name"
	wait_for "$socket" $!
}

# It offers none.
[[ $a != dpdk && $b != dpdk ]] || options+=(--no-offloads)
need "$bench_tap" "build it with make check, or set BENCH_TAP"
begin /tmp
# Nobody else shall talk.
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6

for direction in "${directions[@]}"; do
	for size in ${sizes//,/ }; do
		targets=()
		start a "$a"
		targets+=("$target")
		start b "$b"
		targets+=("$target")
		"$bench_tap" --size="$size" --dir="$direction" "${options[@]}" "${targets[@]}" ||
			tail -n 3 "$work"/*.log >&2
		end_all
	done
done
