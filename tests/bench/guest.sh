#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One QEMU guest (software emulation) with our devices and with QEMU's own ones in its process: TCP
# over vhost-user-net and over virtio-net on a tap (vhost=off), a disk of vhost-user-blk and one of
# virtio-blk, both on tmpfs.  In turns, in a network namespace which goes with this script.
#
# Throughput, and CPU time of QEMU and the daemon together; medians of the rounds, and the median
# of their ratios; what is counted are requests, and KiB of TCP.  Environment: ROUNDS (default 5), SECONDS_EACH (default 2), NET_OPTIONS (of
# vhost-user-net), BLK_OPTIONS, and RESULTS, a folder for files of the rounds, "RATE CPU RATE CPU" a
# line; top_builddir says where it was built.  It needs iperf3, and a guest's kernel from
# scripts/guest-kernel.  It only prints; slowness is no failure.

. "$(dirname "$0")/../interop/lib-qemu.sh"
. "$(dirname "$0")/../interop/lib-net.sh"

need_guest_kernel
need iperf3 iperf3
rounds=${ROUNDS:-5} each=${SECONDS_EACH:-2}
guest_driver="virtio_net virtio_blk"
guest_programs=(iperf3 "$top_builddir/tests/bench/guest_disk")
results=${RESULTS:-$tmp/results}
mkdir -p "$results"
shm=$(mktemp -d /dev/shm/bench.XXXXXX) || skip_all "there is no /dev/shm"
trap 'cleanup; rm -rf "$shm"' EXIT

# shellcheck disable=SC2086 # one word per option
{
	start_daemon net --tap=ours --up ${NET_OPTIONS:-}
	daemon=$top_builddir/blk/vhost-user-blk
	for name in ours qemu; do
		dd if=/dev/zero of="$shm/$name.img" bs=1M count=64 status=none
	done
	start_daemon disk --blk-file="$shm/ours.img" --serial=ours ${BLK_OPTIONS:-}
}
ip tuntap add dev qemu mode tap vnet_hdr
ip link set qemu up
ip address add 10.9.10.1/24 dev ours
ip address add 10.9.11.1/24 dev qemu

# Without MSI-X both, which QEMU 7.2 cannot do with vhost-user under emulation; see lib-net.sh.
nic net 52:54:00:00:00:01 ""
nics+=(-netdev tap,id=netdev-qemu,ifname=qemu,script=no,downscript=no,vhost=off
	-device "virtio-net-pci,vectors=0,netdev=netdev-qemu,mac=52:54:00:00:00:02"
	-chardev "socket,id=disk,path=$tmp/disk.sock" -device vhost-user-blk-pci,chardev=disk
	-drive "if=none,id=drive,format=raw,file=$shm/qemu.img" -device virtio-blk-pci,drive=drive,serial=qemu)
start_qemu_guest bench net <<'END'
check "eth0" net_up eth0 10.9.10.2 10.9.10.1
check "eth1" net_up eth1 10.9.11.2 10.9.11.1
mkdir -p /tmp
iperf3 -s >/dev/null &
wait_for grep -q ':1451 0*:0000 0A' /proc/net/tcp6
for disk in /sys/block/vd?; do
	ln -s /dev/${disk##*/} /tmp/$(cat $disk/serial)
done
echo READY
while read -r number name rw depth ms && [ "$number" != bye ]; do
	echo "MEASURED $number $(guest_disk /tmp/$name $rw $depth $ms)"
done
END
hear bench READY || finish

# CPU time of QEMU and the daemons so far, in ticks; QEMU is timeout's child.
qemu_pid=$(pgrep -P "${pids["guest bench"]}")
ticks()
{
	local pid

	for pid in "$qemu_pid" "${pids[net]}" "${pids[disk]}"; do
		cut -d')' -f2- "/proc/$pid/stat"
	done | awk '{ n += $12 + $13 } END { print n }'
}

# tcp NAME [-R]: KiB per second and how many there were, from the guest with -R, to it without.
tcp()
{
	local address=10.9.10.2 try

	[ "$1" = ours ] || address=10.9.11.2
	# The server may be about to end what it did before.
	for try in 1 2 3; do
		timeout $((each + 30)) iperf3 -J -t "$each" -c $address ${2:+"$2"} >"$tmp/iperf" && break
		sleep 0.$try
	done
	awk '	/"sum_received"/ { sum = 1 }
		sum && /"bytes"/ { gsub(/[^0-9]/, ""); bytes = $0 }
		sum && /"bits_per_second"/ { sub(/.*: */, ""); sub(/,.*/, ""); rate = $0; sum = 0 }
		END { if (!bytes) exit 1; printf "%.0f %.0f\n", rate / 8192, bytes / 1024 }' "$tmp/iperf"
}

# disk NAME RW DEPTH: requests per second and how many there were.
number=0
disk()
{
	local count

	say bench "$number $1 $2 $3 $((each * 1000))"
	await bench $((each + 60)) said_or_gone bench "MEASURED $number .*"
	count=$(sed -n "s/^MEASURED $number \([0-9]*\).*/\1/p" "$(log_of bench)")
	[ "${count:-0}" -gt 0 ] && echo "$((count / each)) $count"
}

# turn COMMAND...: what it does, as "RATE CPU-ns".
turn()
{
	local before rate count

	before=$(ticks)
	read -r rate count < <("$@") || return
	awk -v rate="$rate" -v count="$count" -v ticks=$(($(ticks) - before)) -v hz="$(getconf CLK_TCK)" \
		'BEGIN { printf "%.0f %.4g\n", rate, ticks / hz * 1e9 / count }'
}

# measure FILE COMMAND [ARG...]: a round; the command is given whose device it is about.  A round
# which fails does not count.
measure()
{
	local file=$1 what=$2 order=(ours qemu) name

	shift 2
	((round % 2)) && order=(qemu ours)
	for name in "${order[@]}"; do
		number=$((number + 1))
		if ! turn "$what" "$name" "$@" >"$tmp/turn-$name"; then
			echo "# $file: round $((round + 1)) failed with the device $name"
			return
		fi
	done
	paste -d' ' "$tmp"/turn-{ours,qemu} >>"$results/$file"
}

# column N FILE: its median.
column()
{
	awk -v n="$1" '{ print $n }' "$2" | median
}

median()
{
	sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# report FILE UNIT
report()
{
	local file=$results/$1

	printf '%-15s ours %7.0f %-4s %7.0f CPU-ns   QEMU %7.0f %-4s %7.0f CPU-ns   ratio %.2f, CPU %.2f\n' \
		"$1" "$(column 1 "$file")" "$2" "$(column 2 "$file")" \
		"$(column 3 "$file")" "$2" "$(column 4 "$file")" \
		"$(awk '{ print $1 / $3 }' "$file" | median)" "$(awk '{ print $2 / $4 }' "$file" | median)"
}

for ((round = 0; round < rounds; round++)); do
	measure tcp-rx tcp
	measure tcp-tx tcp -R
	for rw in read write; do
		for depth in 1 32; do
			measure disk-$rw-$depth disk $rw $depth
		done
	done
done
for name in rx tx; do
	report tcp-$name KiB
done
for name in read-1 read-32 write-1 write-32; do
	report disk-$name IOPS
done
say bench bye
end_qemu_guest bench >/dev/null
