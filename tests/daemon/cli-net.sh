#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The command line of vhost-user-net, how it starts and how it ends; and that nothing is left
# behind. Interfaces are made in a network namespace of this test, for which it takes root;
# without that only the rest is tested.

if [ "${1:-}" != inside ] && [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ]; then
	exec unshare -n "$BASH" "$0" inside
fi
inside=${1:-}

. "$(dirname "$0")/lib-cli.sh"

cli_of net
good=(--port=null)
making=(--port=null)
threaded=(--port=null --threads=2 --queue-pairs=2)
if [ "$inside" = inside ]; then
	making=(--tap=made0)
fi

# What is there: files, and interfaces by name.
listing()
{
	ls -lRA --time-style=+ "$work"
	sed 's/:.*//' /proc/net/dev
}

# no_port WORD ARG...: refused because the port cannot be made of this.
no_port()
{
	local word=$1

	shift
	cannot "cannot: $*" "$word" --socket-path=s "$@"
}

# --- Options which only print ---

equal "capabilities" '{"type":"net","features":[]}' "$("$daemon" --foo --print-capabilities 2>&1)"
check_help

# --- Wrong command lines ---

check_usage
usage "--tap, --tap-fd or --port=null" --socket-path=s
usage "--tap, --tap-fd: only one" --socket-path=s --tap=t --tap-fd=3
usage "--port=null: it has no --tap" --socket-path=s --tap=t --port=null
usage "--port=null: it has no --tap" --socket-path=s --tap-fd=3 --port=null
usage "--port=foo: not tap or null" --socket-path=s --port=foo
usage "--packet-size: it needs --port=null" --socket-path=s --tap=t --packet-size=64
usage "--packet-size: shorter" --socket-path=s --port=null --packet-size=13
usage "--packet-size=65536: not in the range" --socket-path=s --port=null --packet-size=65536
usage "--bridge, --up: they need --tap" --socket-path=s --port=null --up
usage "--bridge, --up: they need --tap" --socket-path=s --tap-fd=3 --bridge=br0
usage "--up=yes: it takes no value" --socket-path=s --tap=t --up=yes
usage "--queue-pairs=0: not in the range from 1 to 127" --socket-path=s --port=null --queue-pairs=0
usage "--queue-pairs=128: not in the range from 1 to 127" --socket-path=s --port=null --queue-pairs=128
usage "--threads=2: more than queues, of which there are --queue-pairs=1" --socket-path=s --port=null --threads=2
usage "--num-queues: unknown option" --socket-path=s --port=null --num-queues=2
usage "--tap=: it needs a value" --socket-path=s --tap=
usage "--mac: it needs a value" --socket-path=s --port=null --mac

# --- Wrong values ---

for mac in 52:54:00:12:34 52:54:00:12:34:56:78 52-54-00-12-34-56 52:54:00:12:34:5g 5:54:00:12:34:56 \
	525:4:00:12:34:56 foo "52:54:00:12:34:56 "; do
	usage "--mac=$mac: not six bytes" --socket-path=s --port=null "--mac=$mac"
done
usage "--mac=53:54:00:12:34:56: not the address of one" --socket-path=s --port=null --mac=53:54:00:12:34:56
usage "--mac=ff:ff:ff:ff:ff:ff: not the address of one" --socket-path=s --port=null --mac=ff:ff:ff:ff:ff:ff
usage "--mac=00:00:00:00:00:00: not the address of one" --socket-path=s --port=null --mac=00:00:00:00:00:00
for mtu in 0 67 65536 99999999999999999999 -1 x 1500x " 1500"; do
	usage "--mtu=$mtu: not a number from 68 to 65535" --socket-path=s --port=null "--mtu=$mtu"
done
for fd in x 3, ,3 3,,4 -3 3x 3:4 99999999999; do
	usage "--tap-fd=$fd: not file descriptors" --socket-path=s "--tap-fd=$fd" --queue-pairs=2
done
usage "--tap-fd=3: 1 of them, not as many as --queue-pairs=2" --socket-path=s --tap-fd=3 --queue-pairs=2
usage "--tap-fd=3,4: 2 of them, not as many as --queue-pairs=1" --socket-path=s --tap-fd=3,4
no_port "--tap-fd=99: 99: no such file descriptor" --tap-fd=99
no_port "--tap-fd=0: 0: not a tap" --tap-fd=0
refused_with "fd 3, which nobody gave" 1 "--tap-fd=3: 3: " "$BASH" -c '"$@" 3<&-' sh "$daemon" --socket-path=s --tap-fd=3

# --- Sockets ---

check_sockets "--port=null" --port=null
check_bad_fds
check_fds
check_connect

start_daemon null --port=null --queue-pairs=4 --threads=2 --packet-size=64 --mac=52:54:00:12:34:56 --mtu=1500
check "front-ends come and go" "$give_fd" talk "$tmp/null.sock" 50
stop_daemon null
start_daemon most --port=null --queue-pairs=127
check "the most pairs" "$give_fd" talk "$tmp/most.sock" 2
stop_daemon most
for threads in 0 1; do
	check_shrink "$threads threads" --port=null --packet-size=100 --threads=$threads
done

check_signals
check_stale_sockets
check_streams_and_arguments --packet-size 100 --log-level error

# --- Interfaces ---

if [ "$inside" != inside ]; then
	echo "# no interfaces: they take root and /dev/net/tun"
	finish
fi

up()
{
	ip -o link show "$1" | grep -q "[<,]UP[,>]"
}

no_port "--tap=lo: not a tap interface" --tap=lo
no_port "--tap=longer-than-that-: longer than 15 bytes" --tap=longer-than-that-
no_port "--tap=t0: cannot add it to --bridge=none: no such bridge" --tap=t0 --bridge=none
no_port "--tap=t0: cannot set --mtu=65535" --tap=t0 --mtu=65535
# Root without the one privilege: another user may not even get to the program.
refused_with "no permission" 1 "--tap=t0: not permitted" \
	setpriv --inh-caps=-net_admin --bounding-set=-net_admin "$daemon" --socket-path=s --tap=t0
ip tuntap add single mode tap
ip tuntap add several mode tap multi_queue
ip tuntap add tun mode tun
no_port "--tap=tun: not a tap interface" --tap=tun
no_port "--tap=single: it has one queue, fewer than --queue-pairs=2" --tap=single --queue-pairs=2

start_daemon attached --tap=single --up
check "it is up" up single
no_port "--tap=single: another process uses it" --tap=single
check "a front-end" "$give_fd" talk "$tmp/attached.sock" 2
stop_daemon attached
check "what was there before stays" ip link show single
start_daemon attached --tap=several --queue-pairs=3 --threads=3
stop_daemon attached
start_daemon attached --tap=several
stop_daemon attached

start_daemon created --tap=new0 --queue-pairs=2 --mtu=4000 --up
check "it is made" ip link show new0
check "it has the MTU" grep -qx 4000 <(ip -o link show new0 | sed 's/.* mtu \([0-9]*\) .*/\1/')
stop_daemon created
refused_with "it goes with the daemon" 1 "vhost-user-net: gone" sh -c 'ip link show new0 2>/dev/null || { echo vhost-user-net: gone >&2; exit 1; }'
start_daemon pattern --tap=pat%d
check "a name by pattern" ip link show pat0
stop_daemon pattern
if ip link add br0 type bridge 2>/dev/null; then
	start_daemon bridged --tap=new1 --bridge=br0
	check "it is in the bridge" grep -q new1 <(ip -o link show master br0)
	stop_daemon bridged
	no_port "no such bridge" --tap=new1 --bridge=lo
else
	echo "# no bridges in this kernel"
fi

# Deleted while it runs: that is said when somebody looks, and it does not spin meanwhile.
start_daemon deleted --tap=del0
ip link del del0
check "a front-end of a deleted interface" "$give_fd" talk "$tmp/deleted.sock" 1
stop_daemon deleted
finish
