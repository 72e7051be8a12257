#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# TCP between the host and one QEMU guest (software emulation), over vhost-user-net and over QEMU's
# own virtio-net on a tap (vhost=off), in turns; in a network namespace which goes with this script.
#
# Throughput, and CPU time of QEMU and the daemon together; medians of the rounds, and the median
# of their ratios.  Environment: ROUNDS (default 5), SECONDS_EACH (default 2), DAEMON_OPTIONS (of
# vhost-user-net); top_builddir says where it was built.  It needs iperf3, and a guest's kernel
# from scripts/guest-kernel.  It only prints; slowness is no failure.

. "$(dirname "$0")/../interop/lib-qemu.sh"
. "$(dirname "$0")/../interop/lib-net.sh"

need_guest_kernel
need iperf3 iperf3
rounds=${ROUNDS:-5} each=${SECONDS_EACH:-2}
guest_programs=(iperf3)

# shellcheck disable=SC2086 # one word per option
start_daemon ours --tap=ours --up ${DAEMON_OPTIONS:-}
ip tuntap add dev qemu mode tap vnet_hdr
ip link set qemu up
ip address add 10.9.10.1/24 dev ours
ip address add 10.9.11.1/24 dev qemu

# Without MSI-X both, which QEMU 7.2 cannot do with vhost-user under emulation; see lib-net.sh.
nic ours 52:54:00:00:00:01 ""
nics+=(-netdev tap,id=netdev-qemu,ifname=qemu,script=no,downscript=no,vhost=off
	-device "virtio-net-pci,vectors=0,netdev=netdev-qemu,mac=52:54:00:00:00:02")
start_qemu_guest tcp ours <<'END'
check "eth0" net_up eth0 10.9.10.2 10.9.10.1
check "eth1" net_up eth1 10.9.11.2 10.9.11.1
mkdir -p /tmp
iperf3 -s >/dev/null &
wait_for grep -q ':1451 0*:0000 0A' /proc/net/tcp6
echo READY
read -r line
END
hear tcp READY || finish

# CPU time of the processes so far, in ticks.
ticks()
{
	local pid
	for pid; do
		cut -d')' -f2- "/proc/$pid/stat"
	done | awk '{ n += $12 + $13 } END { print n }'
}

# The guest's QEMU is timeout's child.
qemu_pid=$(pgrep -P "${pids["guest tcp"]}")

# measure NIC ADDRESS [-R]: "Mbit/s CPU-ns-per-KiB", from the guest with -R, to it without.
measure()
{
	local before after

	before=$(ticks "$qemu_pid" "${pids[ours]}")
	result=$(timeout $((each + 30)) iperf3 -J -t "$each" -c "$2" ${3:+"$3"}) || return
	after=$(ticks "$qemu_pid" "${pids[ours]}")
	echo "$result" | awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" '
		/"sum_received"/ { sum = 1 }
		sum && /"bytes"/ { gsub(/[^0-9]/, ""); bytes = $0 }
		sum && /"bits_per_second"/ { sub(/.*: */, ""); sub(/,.*/, ""); rate = $0; sum = 0 }
		END { if (!bytes) exit 1; printf "%.0f %.0f\n", rate / 1e6, ticks / hz * 1e9 / (bytes / 1024) }'
}

median()
{
	sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# report DIRECTION FILE: each line of the file is ours, then QEMU's.
report()
{
	local col

	for col in 1 2 3 4; do
		awk -v c=$col '{ print $c }' "$2" | median
	done | paste -sd' ' | {
		read -r rate cpu qrate qcpu
		printf '%-14s ours %6s Mbit/s %6s CPU-ns/KiB   QEMU %6s Mbit/s %6s CPU-ns/KiB' \
			"$1" "$rate" "$cpu" "$qrate" "$qcpu"
	}
	printf '   ratio %.2f, CPU %.2f\n' "$(awk '{ print $1 / $3 }' "$2" | median)" \
		"$(awk '{ print $2 / $4 }' "$2" | median)"
}

for ((round = 0; round < rounds; round++)); do
	for direction in "" -R; do
		if ((round % 2)); then
			other=$(measure qemu 10.9.11.2 $direction) && ours=$(measure ours 10.9.10.2 $direction) || finish
		else
			ours=$(measure ours 10.9.10.2 $direction) && other=$(measure qemu 10.9.11.2 $direction) || finish
		fi
		echo "$ours $other" >>"$tmp/result$direction"
	done
done
report "to the guest" "$tmp/result"
report "from the guest" "$tmp/result-R"
say tcp bye
end_qemu_guest tcp >/dev/null
