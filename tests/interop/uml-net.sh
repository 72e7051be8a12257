#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# User-mode Linux on a tap: it is found by ping of any size, in both directions, after a reset of the device and
# after the daemon's replacement. All traffic stays in a network namespace of this test.

if [ "${1:-}" != inside ]; then
	[ "$(id -u)" -eq 0 ] || { echo "1..0 # SKIP a network namespace takes root"; exit 0; }
	exec unshare -n "$BASH" "$0" inside
fi

. "$(dirname "$0")/lib-uml.sh"

need ip iproute2
[ -c /dev/net/tun ] || skip_all "there is no /dev/net/tun"

daemon=$top_builddir/net/vhost-user-net
uml_drivers=virtio_net
uml_type=1

ip link set lo up
start_daemon net --tap=uml0 --up --mac=02:00:00:00:00:02 --mtu=9000 --log-level=debug
ip address add 10.9.0.1/24 dev uml0

# From here as long as the guest is there.
{
	wait_until 120 busybox ping -q -c 1 -W 1 10.9.0.2
	busybox ping -q -c 20 -W 5 -s 8000 10.9.0.2
	echo "status $?"
} >"$tmp/ping" 2>&1 &
pids[ping]=$!

uml_guest "guest" net <<'E1'
ip link set lo up
equal "the address" 02:00:00:00:00:02 "$(cat /sys/class/net/eth0/address)"
equal "the largest MTU" 9000 "$(cat /sys/class/net/eth0/mtu)"
check "up" ip link set eth0 up || exit
ip address add 10.9.0.2/24 dev eth0
wait_for busybox ping -q -c 1 -W 1 10.9.0.1 >/dev/null
equal "the carrier" 1 "$(cat /sys/class/net/eth0/carrier)"
for size in 0 1 64 1472 4000 8972 20000 65507; do
	check "ping with $size bytes" busybox ping -q -c 5 -W 5 -s $size 10.9.0.1
done
check "promiscuous" ip link set eth0 promisc on
check "another address" ip link set eth0 address 02:00:00:00:00:03
check "ping from that" busybox ping -q -c 3 -W 5 10.9.0.1
check "another MTU" ip link set eth0 mtu 1000
check "ping in pieces" busybox ping -q -c 3 -W 5 -s 5000 10.9.0.1

driver=/sys/bus/virtio/drivers/virtio_net
device=$(basename "$driver"/virtio*)
check "unbind the driver" sh -c "echo $device >$driver/unbind"
check "bind the driver" sh -c "echo $device >$driver/bind"
check "up again" ip link set eth0 up
ip address add 10.9.0.2/24 dev eth0
wait_for busybox ping -q -c 1 -W 1 10.9.0.1 >/dev/null
check "ping after that" busybox ping -q -c 3 -W 5 -s 3000 10.9.0.1
E1

end_process ping
check "host: ping" grep -q '^status 0' "$tmp/ping"
stop_daemon net
equal "the tap is gone with the daemon" 0 "$(ip link show uml0 2>/dev/null | wc -l)"
finish
