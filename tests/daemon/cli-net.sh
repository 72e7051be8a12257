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

equal "capabilities" '{"type":"net"}' "$("$daemon" --foo --print-capabilities 2>&1)"
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
for pairs in 128 256; do
	usage "--queue-pairs=$pairs: not in the range from 1 to 127: a vhost-user device has up to 256 queues" \
		--socket-path=s --port=null --queue-pairs=$pairs
done
usage "--threads=2: more than queues, of which there are --queue-pairs=1" --socket-path=s --port=null --threads=2
usage "--num-queues: unknown option" --socket-path=s --port=null --num-queues=2
usage "--tap=: it needs a value" --socket-path=s --tap=
usage "--mac: it needs a value" --socket-path=s --port=null --mac

# --- Wrong values ---

for mac in 52:54:00:12:34 52:54:00:12:34:56:78 52-54-00-12-34-56 52:54:00:12:34:5g 5:54:00:12:34:56 \
	525:4:00:12:34:56 foo "52:54:00:12:34:56 "; do
	no_port "--mac=$mac: not six bytes" --port=null "--mac=$mac"
done
no_port "--mac=53:54:00:12:34:56: not the address of one" --port=null --mac=53:54:00:12:34:56
no_port "--mac=ff:ff:ff:ff:ff:ff: not the address of one" --port=null --mac=ff:ff:ff:ff:ff:ff
no_port "--mac=00:00:00:00:00:00: not the address of one" --port=null --mac=00:00:00:00:00:00
for mtu in 0 67 65536 99999999999999999999 -1 x 1500x " 1500"; do
	no_port "--mtu=$mtu: not a number from 68 to 65535" --port=null "--mtu=$mtu"
done
for fd in x 3, ,3 3,,4 -3 3x 3:4 99999999999; do
	no_port "--tap-fd=$fd: not file descriptors" "--tap-fd=$fd" --queue-pairs=2
done
no_port "--tap-fd=3: 1 of them, not as many as --queue-pairs=2" --tap-fd=3 --queue-pairs=2
no_port "--tap-fd=3,4: 2 of them, not as many as --queue-pairs=1" --tap-fd=3,4
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

# --- Who may ---

# As a user without any privilege, if that one can get to the program at all.
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
mkdir "$tmp/nobody" && chmod 711 "$tmp" && chown 65534 "$tmp/nobody"
ip tuntap add theirs mode tap user 65533
ip tuntap add mine mode tap user 65534 && ip link set mine up
if "${nobody[@]}" "$daemon" --version >/dev/null 2>&1; then
	refused_with "nobody's new tap" 1 "--tap=t0: not permitted" \
		"${nobody[@]}" "$daemon" --socket-path="$tmp/nobody/s" --tap=t0
	refused_with "another user's tap" 1 "--tap=theirs: not permitted" \
		"${nobody[@]}" "$daemon" --socket-path="$tmp/nobody/s" --tap=theirs
	refused_with "a user's own tap, set up by nobody" 1 "--tap=mine: cannot set --mtu=1400: .*not permitted" \
		"${nobody[@]}" "$daemon" --socket-path="$tmp/nobody/s" --tap=mine --mtu=1400
	"${nobody[@]}" "$daemon" --socket-path="$tmp/nobody/mine.sock" --tap=mine >>"$tmp/mine.log" 2>&1 &
	pids[mine]=$!
	check "a user's own tap: the daemon listens" wait_until 30 listening nobody/mine
	check "a user's own tap: a front-end" "$give_fd" talk "$tmp/nobody/mine.sock" 2
	kill "${pids[mine]}"
	check "a user's own tap: SIGTERM ends the daemon" end_process mine
else
	echo "# user 65534 cannot run $daemon"
fi
refused_with "a tap without headers" 1 "--tap-fd=7: 7: not opened with IFF_VNET_HDR" \
	"$give_fd" plain-tap plain0 "$daemon" --socket-path=s --tap-fd=7
refused_with "one queue for two pairs" 1 "--tap-fd=7,7: 7: given twice" \
	"$give_fd" tap given0 "$daemon" --socket-path=s --tap-fd=7,7 --queue-pairs=2
"$give_fd" tap given0 "$daemon" --socket-path="$tmp/given-tap.sock" --tap-fd=7 >"$tmp/given-tap.log" 2>&1 &
pids[given-tap]=$!
check "a tap which was given: the daemon listens" wait_until 30 listening given-tap
check "a tap which was given: a front-end" "$give_fd" talk "$tmp/given-tap.sock" 1
stop_daemon given-tap
no_device()
{
	unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$@"' sh "$@"
}
if no_device true 2>/dev/null; then
	refused_with "no /dev/net/tun" 1 "--tap=t0: /dev/net/tun: No such file" \
		unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$@"' sh "$daemon" --socket-path=s --tap=t0
else
	echo "# nothing can be mounted here, so /dev/net/tun is always there"
fi

# --- What becomes of it ---

# said NAME TEXT, after the lines which were there before.
said()
{
	grep -q -- "$2" "$tmp/$1.log"
}

start_daemon link --tap=link0
check "it is down at first" said link "link0: the interface is down"
check "set it up" ip link set link0 up
check "the daemon says so" wait_until 30 said link "link0: the interface is up"
: >"$tmp/link.log"
check "set it down" ip link set link0 down
check "the daemon says so" wait_until 30 said link "link0: the interface is down"
# Without a front-end and a single packet.
check "delete it" ip link del link0
check "the daemon says so" wait_until 30 said link "link0: the interface has gone"
check "it makes another one" wait_until 30 said link "link0: the interface is back"
check "it is there" ip link show link0
check "a front-end" "$give_fd" talk "$tmp/link.sock" 1
stop_daemon link

# --- Idle ---

# How often the daemon's threads have gone to sleep, and how long they have run, in ticks.
wakeups()
{
	awk '/^voluntary_ctxt_switches:/ { n += $2 } END { print n }' "/proc/${pids[$1]}"/task/*/status
	awk '{ print $14 + $15 }' "/proc/${pids[$1]}/stat"
}

# Nothing is to be seen in two seconds.
sleeps()
{
	local before end

	before=$(wakeups "$1") end=$((SECONDS + 3))
	# What happens to other interfaces is none of its business.
	ip tuntap add "other$SECONDS" mode tap
	while [ $SECONDS -lt $end ]; do
		[ "$(wakeups "$1")" = "$before" ] || return 1
	done
}

not_as_before()
{
	[ "$(wakeups "$1")" != "$2" ]
}

# test_idle OPTION...: rings run, with buffers, and no packet comes.
test_idle()
{
	local before

	echo "# idle with: $*"
	# The kernel itself would send some.
	echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
	start_daemon idle --tap=idle0 --up --queue-pairs=2 "$@"
	"$give_fd" idle "$tmp/idle.sock" 4 >"$tmp/idle.out" 2>&1 &
	pids[front-end]=$!
	wait_until 30 grep -q ready "$tmp/idle.out"
	# proves: net.no-wake-ups
	check "idle: no thread wakes up" wait_until 30 sleeps idle
	before=$(wakeups idle)
	ip address add 10.9.0.1/24 dev idle0
	# The kernel asks who has this address.
	echo >/dev/udp/10.9.0.2/9
	check "idle: a packet wakes one" wait_until 30 not_as_before idle "$before"
	check "idle: and then none again" wait_until 30 sleeps idle
	stop_daemon idle
	end_process front-end
}

if [ "${SANITIZER-no}" = thread ]; then
	row 0 "idle # SKIP the thread sanitizer has a thread of its own, which wakes up"
else
	test_idle --threads=0
	test_idle --threads=2 --poll-us=200
fi
finish
