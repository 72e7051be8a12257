# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Sections of tests/bench/report: networks.

section_net_null()
{
	local direction ring size ours mode options

	against="DPDK net_vhost"
	for direction in tx rx; do
		for ring in split packed; do
			options=()
			[[ $ring == split ]] || options=(--packed)
			for size in 64 1500; do
				ours=() mode=rxonly
				[[ $direction == tx ]] || ours=(--packet-size="$size") mode=txonly
				peer "$testpmd" dpdk-dev && testpmd_command $mode --txpkts="$size" && in_a_shell
				second=("${command[@]}")
				net_command --port=null --poll-us=200 "${ours[@]}"
				first=("${command[@]}")
				work_text="null packets of $size B, $(direction_text), $ring"
				goals=("packets least 1")
				versus net --dir=$direction --size="$size" "${options[@]}" --poll --mergeable \
					--depth=256
			done
		done
	done
}

direction_text()
{
	if [[ $direction == tx ]]; then
		echo "guest to host"
	else
		echo "host to guest"
	fi
}

section_tap()
{
	local direction size

	against="the bare loop"
	missing=
	[[ $(id -u) -eq 0 && -c /dev/net/tun ]] || missing="takes root and /dev/net/tun"
	for direction in tx rx; do
		# The last are segmented behind the tap (GSO).
		for size in 64 1514 65000; do
			work_text="tap, packets of $size B, $(direction_text)"
			goals=("packets least 0.95")
			if [[ $missing ]]; then
				none "$missing" "${goals[@]}"
				continue
			fi
			compared "$tests_source/tap.sh" --b=bare --dir="$direction" --sizes="$size" --json \
				--rounds="$rounds" --time-ms="$time_ms" --tries="$(tries)"
		done
	done
}
