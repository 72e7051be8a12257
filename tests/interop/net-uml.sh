#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two User-mode Linux guests on a bridge, each with a daemon and a tap: they find the host and each
# other, and send each other files and a verified stream. They set up the control queue, so the
# daemon carries out their commands.

. "$(dirname "$0")/lib-uml.sh"
. "$(dirname "$0")/lib-net.sh"

bridge br0
start_services
start_daemon one --tap=one --bridge=br0 --up --mac=02:00:00:00:00:02 --mtu=9000 --log-level=debug
start_daemon two --tap=two --bridge=br0 --up --mac=02:00:00:00:00:03 --mtu=9000 --queue-pairs=4 --threads=2 \
	--packed=off --log-level=debug

# It serves the other one, until it is told on port 5009 that it is over.
# shellcheck disable=SC2046
start_uml_guest "guest one" one $(net_variables) STREAM="$stream" <<'E1'
equal "the address" 02:00:00:00:00:02 "$(cat /sys/class/net/eth0/address)"
equal "packed ring" 1 "$(feature eth0 34)"
check "up" net_up eth0 10.9.0.2 10.9.0.1 9000
serve_guest
E1

# From here as long as the second guest is there.
{
	wait_until 300 busybox ping -q -c 1 -W 1 10.9.0.3
	busybox ping -q -c 20 -i 0.1 -W 5 -s 8000 10.9.0.3
	echo "status $?"
} >"$tmp/ping" 2>&1 &
pids[ping]=$!

# shellcheck disable=SC2046
start_uml_guest "guest two" two $(net_variables) STREAM="$stream" <<'E2'
equal "the address" 02:00:00:00:00:03 "$(cat /sys/class/net/eth0/address)"
equal "split ring" 0 "$(feature eth0 34)"
equal "the largest MTU" 9000 "$(cat /sys/class/net/eth0/mtu)"
check "up" net_up eth0 10.9.0.3 10.9.0.1 1500 || exit
ip link set lo up
equal "the carrier" 1 "$(cat /sys/class/net/eth0/carrier)"
check "pings to the host" all_pings 10.9.0.1
check "files to and from the host" both_ways 10.9.0.1
for mtu in 68 9000; do
	check "MTU $mtu" ip link set eth0 mtu $mtu
	check "files with MTU $mtu" both_ways 10.9.0.1
done

check "the other guest answers" wait_for pings 1 0 10.9.0.2
check "pings to the other guest" all_pings 10.9.0.2
check "it is ready" wait_for busybox nc 10.9.0.2 5003 </dev/null
check "files to and from the other guest" both_ways 10.9.0.2

# Commands to the daemon.
check "promiscuous" ip link set eth0 promisc on
check "not promiscuous" ip link set eth0 promisc off
start_stream 10.9.0.2 4
for pairs in 4 2 3 1; do
	check "$pairs pairs" ethtool -L eth0 combined $pairs
	check "files with $pairs pairs" both_ways 10.9.0.2
done
for what in gso tso tx sg gro rx-gro-hw; do
	check "$what off" ethtool -K eth0 $what off
	check "files with $what off" both_ways 10.9.0.2
done
for what in sg tx tso gso gro rx-gro-hw; do
	check "$what on" ethtool -K eth0 $what on
done
check "files with all on" both_ways 10.9.0.2
end_stream "all of the stream"

check "another address" ip link set eth0 address 02:00:00:00:00:04
check "pings from that" pings 3 100 10.9.0.1

driver=/sys/bus/virtio/drivers/virtio_net
device=$(basename "$driver"/virtio*)
check "unbind the driver" sh -c "echo $device >$driver/unbind"
check "bind the driver" sh -c "echo $device >$driver/bind"
check "up again" net_up eth0 10.9.0.3 10.9.0.1
check "pings after that" all_pings 10.9.0.2
check "files after that" both_ways 10.9.0.2

# The host sets the tap down now, and waits for the carrier to be gone.
echo "DOWN"
wait_for grep -q 0 /sys/class/net/eth0/carrier
check "the carrier is off with a tap which is down" grep -q 0 /sys/class/net/eth0/carrier
wait_for grep -q 1 /sys/class/net/eth0/carrier
check "the carrier is on with a tap which is up" grep -q 1 /sys/class/net/eth0/carrier
check "pings with a tap which is up" wait_for pings 1 0 10.9.0.2

# The same when it deletes the tap.
echo "DELETE"
wait_for grep -q 0 /sys/class/net/eth0/carrier
check "the carrier is off" grep -q 0 /sys/class/net/eth0/carrier
wait_for grep -q 1 /sys/class/net/eth0/carrier
check "the carrier is back" grep -q 1 /sys/class/net/eth0/carrier
check "pings with a new tap" wait_for pings 3 1000 10.9.0.2
check "files with a new tap" both_ways 10.9.0.2
busybox nc 10.9.0.2 5009 </dev/null
E2

await "guest two" 400 said_or_gone "guest two" DOWN
check "host: set the tap down" ip link set two down
await "guest two" 120 said_or_gone "guest two" "RESULT 0 the carrier is off with a tap which is down"
check "host: set the tap up" ip link set two up
# The daemon would make the tap again at once, were not there another interface of its name.
await "guest two" 120 said_or_gone "guest two" DELETE
check "host: delete the tap, and take its name" sh -c "ip link delete two && ip link add two type bridge"
await "guest two" 120 said_or_gone "guest two" "RESULT 0 the carrier is off"
check "host: give the name back" ip link delete two
end_uml_guest "guest two"
end_uml_guest "guest one"
end_process ping
check "host: ping" grep -q '^status 0' "$tmp/ping"
check "the daemon says that the tap has gone" logged two "two: the interface has gone"
check "the daemon says that the tap is back" logged two "two: the interface is back"
stop_daemon one
stop_daemon two
finish
