#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A verified stream between the host and a guest of QEMU goes on whatever happens: pairs of queues
# are switched off and on, the tap is set down, or deleted, the daemon is killed.

. "$(dirname "$0")/lib-qemu.sh"
. "$(dirname "$0")/lib-net.sh"

need_guest_kernel

pairs=4
socket_properties=,reconnect=1
qemu_args=(-smp 2)

tap()
{
	ip tuntap add dev tap0 mode tap vnet_hdr multi_queue && ip link set tap0 master br0 up
}

# in_guest NAME COMMAND: the guest has run a command, which is not to be given twice.
in_guest()
{
	say "$1" "$2"
	hear "$1" "RESULT 0 $2"
}

# Hundredths of a second for which a process has used the processor.
ticks()
{
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

now()
{
	cut -d. -f1 /proc/uptime
}

later_than()
{
	[ "$(now)" -gt "$1" ]
}

# How much of its time a process uses the processor in the next seconds, in percent.
busy()
{
	local begin before

	begin=$(now) before=$(ticks "$1")
	wait_until 10 later_than $((begin + 2))
	echo $((($(ticks "$1") - before) / ($(now) - begin)))
}

kill_it()
{
	{ kill -9 "${pids[nic]}"; end_process nic; } 2>/dev/null
	rm -f "$tmp/nic.sock"
}

# kill_daemon FORMAT OPTION...: twice.
#
# What a driver of a packed ring has got back is not to be seen in there: QEMU cannot go on where a
# killed daemon was.
kill_daemon()
{
	local format=$1

	shift
	kill_it
	ip link delete tap0
	# It makes a tap by itself now, also when that is deleted.
	start_daemon nic --tap=tap1 --bridge=br0 --up --queue-pairs=$pairs "$@"
	stream_goes_on "$format" "with a new daemon"
	check "$format: its tap is deleted" ip link delete tap1
	check "$format: the daemon makes another one" wait_until 30 logged nic "tap1: the interface is back"
	stream_goes_on "$format" "with that"

	kill_it
	start_daemon nic --tap=tap1 --bridge=br0 --up --queue-pairs=$pairs "$@"
	stream_goes_on "$format" "with one more daemon"
}

# test_trouble FORMAT OPTION...
test_trouble()
{
	local format=$1 n

	shift
	check "$format: a tap with several queues" tap
	: >"$tmp/nic.log"
	start_daemon nic --tap=tap0 --queue-pairs=$pairs "$@"
	# shellcheck disable=SC2046
	start_qemu_guest "$format" nic $(net_variables) PAIRS=$pairs FORMAT="$format" <<'END'
check "up" net_up eth0 10.9.0.2 10.9.0.1
equal "ring format" $FORMAT $([ $(feature eth0 34) = 1 ] && echo packed || echo split)
start_stream 10.9.0.1 $PAIRS
while read -r line && [ "$line" != end ]; do
	check "$line" $line
done
end_stream "all of the stream"
check "files" both_ways 10.9.0.1
END
	stream_goes_on "$format" "at first"
	for n in 1 $pairs 2 3; do
		in_guest "$format" "ethtool -L eth0 combined $n"
		stream_goes_on "$format" "with $n pairs"
	done

	: >"$tmp/nic.log"
	check "$format: the tap is set down" ip link set tap0 down
	check "$format: the daemon says so" wait_until 30 logged nic "tap0: the interface is down"
	check "$format: it is not busy" [ "$(busy "${pids[nic]}")" -lt 20 ]
	check "$format: the tap is set up" ip link set tap0 up
	check "$format: the daemon says so" wait_until 30 logged nic "tap0: the interface is up"
	stream_goes_on "$format" "with the tap set up again"

	check "$format: the tap is deleted" ip link delete tap0
	check "$format: the daemon says so" wait_until 30 logged nic "tap0: the interface has gone"
	check "$format: it is not busy" [ "$(busy "${pids[nic]}")" -lt 20 ]
	check "$format: a new tap" tap
	check "$format: the daemon says so" wait_until 30 logged nic "tap0: the interface is back"
	stream_goes_on "$format" "with a new tap"

	[ "$format" = packed ] || kill_daemon "$format" "$@"
	say "$format" end
	end_qemu_guest "$format"
	stop_daemon nic
	ip link delete tap0 2>/dev/null
}

bridge br0
start_services
nic_pairs=$pairs
nic_properties=,mq=on
test_trouble split
nic_properties=,mq=on,packed=on,mrg_rxbuf=off
test_trouble packed --threads=2
finish
