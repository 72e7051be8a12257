#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest with a verified stream to the host moves between QEMUs, there and back: the stream goes
# on, and the bridge hears where the guest is now.

. "$(dirname "$0")/lib-migrate.sh"
. "$(dirname "$0")/lib-net.sh"

need tcpdump tcpdump

# Instead of a disk.
start_home()
{
	start_daemon "$1" --tap="$1" --bridge=br0 --up --log-level=debug
}

# Frames with which the guest, or the daemon for it, says where it is: requests for its own address.
announced()
{
	[ "$(grep -c '^[0-9]' "$tmp/announced.txt")" -gt "$1" ]
}

start_listening()
{
	: >"$tmp/announced.txt"
	tcpdump -l -n -p -i br0 "ether src $nic_mac and $1" >"$tmp/announced.txt" 2>"$tmp/tcpdump.log" &
	pids[tcpdump]=$!
	check "host: tcpdump listens" wait_until 30 grep -q '^listening' "$tmp/tcpdump.log"
}

# move FROM TO
move()
{
	local before

	before=$(grep -c '^[0-9]' "$tmp/announced.txt")
	leave "$1" "$2" max-bandwidth=$((128 << 20)) downtime-limit=300
	arrive "$1" "$2"
	check "$1 to $2: the guest is announced" await "$2" 60 announced "$before"
	close_house "$1"
	stream_goes_on "$2" "after the move"
}

# test_migrate FORMAT PROPERTIES FRAMES
test_migrate()
{
	local a=$1-a b=$1-b c=$1-c

	nic_properties=$2
	guest_log=$tmp/guest-$1.log
	: >"$guest_log"
	start_listening "$3"
	start_home "$a"
	# shellcheck disable=SC2046
	start_qemu_guest "$a" "$a" $(net_variables) FORMAT="$1" <<'END'
check "up" net_up eth0 10.9.0.2 10.9.0.1
equal "ring format" $FORMAT $([ $(feature eth0 34) = 1 ] && echo packed || echo split)
start_stream 10.9.0.1 2
read -r line
end_stream "all of the stream"
check "files" both_ways 10.9.0.1
END
	stream_goes_on "$a" "at first"
	open_house "$b"
	move "$a" "$b"
	open_house "$c"
	move "$b" "$c"
	say "$c" end
	end_qemu_guest "$c"
	stop_daemon "$c"
	kill "${pids[tcpdump]}"
	end_process tcpdump
	comment <"$tmp/announced.txt"
}

bridge br0
start_services
qemu_args=(-smp 2)
# The guest itself, with an ARP request for its own address.
test_migrate split ,guest_announce=on 'arp[14:4] == arp[24:4]'
# The daemon, asked by QEMU.
test_migrate packed ,guest_announce=off,packed=on 'rarp'
finish
