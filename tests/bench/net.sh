#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compare two network back-ends which lead nowhere, back-end and load on a core each.
#
#   tests/bench/net.sh [--a=WHAT] [--b=WHAT] [--sizes=BYTES,...]
#                      [options of vhost-bench compare net]
#
# WHAT is ours, ours:--OPTION,--OPTION... (of vhost-user-net), or dpdk (testpmd, which polls all the
# time); the default is ours:--poll-us=200 against dpdk.  Without --from-guest, --to-guest, --split
# or --packed both directions and both kinds of ring are measured.  Environment: VHOST_USER_NET,
# VHOST_BENCH and TESTPMD name the programs; top_builddir says where the first two were built.  It
# only prints; slowness is no failure.
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers.sh"

a=ours:--poll-us=200 b=dpdk sizes=64,1500
options=(--poll --mergeable --depth=256) directions=(tx rx) rings=("" --packed)

for arg; do
	case $arg in
	--a=*) a=${arg#*=} ;;
	--b=*) b=${arg#*=} ;;
	--sizes=*) sizes=${arg#*=} ;;
	--from-guest | --dir=tx) directions=(tx) ;;
	--to-guest | --dir=rx) directions=(rx) ;;
	--split) rings=("") ;;
	--packed) rings=(--packed) ;;
	--irq) options=("${options[@]/--poll/--irq}") ;;
	--help) sed -n '3,13s/^# \?//p' "$0"; exit 0 ;;
	*) options+=("$arg") ;;
	esac
done

# make_command WHAT DIRECTION SIZE
make_command()
{
	local args=${1#*:} mode=rxonly size=()

	[[ $1 == *:* ]] || args=
	[[ $2 == tx ]] || mode=txonly size=(--packet-size="$3")
	case $1 in
	# shellcheck disable=SC2086 # one word per option
	ours*) net_command --port=null "${size[@]}" ${args//,/ } ;;
	dpdk) testpmd_command "$mode" --txpkts="$3"; in_a_shell ;;
	*) die "$1: want ours or dpdk" ;;
	esac
}

need "$bench" "build it, or set VHOST_BENCH"
begin /tmp

for direction in "${directions[@]}"; do
	for ring in "${rings[@]}"; do
		for size in ${sizes//,/ }; do
			make_command "$a" "$direction" "$size"
			first=("${command[@]}")
			make_command "$b" "$direction" "$size"
			# shellcheck disable=SC2086 # nothing, or one word
			"$bench" compare net --dir="$direction" --size="$size" $ring "${options[@]}" -- \
				"${first[@]}" -- "${command[@]}" || exit
		done
	done
done
