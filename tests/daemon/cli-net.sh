#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The command line of vhost-user-net, how it starts and how it ends; and that nothing is left behind. Interfaces are
# made in a network namespace of this test, for which it takes root; without that only the rest is tested.

if [ "${1:-}" != inside ] && [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ]; then
	exec unshare -n "$BASH" "$0" inside
fi
inside=${1:-}

. "$(dirname "$0")/../interop/lib.sh"

daemon=$top_builddir/net/vhost-user-net
give_fd=${GIVE_FD:-$top_builddir/tests/daemon/give_fd}
man=${top_srcdir:-$interop/../..}/man/vhost-user-net.1

work=$tmp/work
mkdir "$work" && cd "$work" || exit 1
echo "not a socket" >file

# What is there: files, and interfaces by name.
listing()
{
	ls -lRA --time-style=+ "$work"
	sed 's/:.*//' /proc/net/dev
}

# refused_with NAME STATUS WORD COMMAND...: the command ends with this status, one line on stderr with this
# word in it, nothing on stdout, and nothing left behind.
refused_with()
{
	local name=$1 status=$2 word=$3 before found

	shift 3
	before=$(listing)
	timeout 20 "$@" >"$tmp/out" 2>"$tmp/err"
	found=$?
	{
		[ $found -eq "$status" ] || echo "exit status $found instead of $status"
		[ "$(wc -l <"$tmp/err")" -eq 1 ] || echo "not one line on stderr"
		grep -q '^vhost-user-net: ' "$tmp/err" || echo "stderr does not begin with the name"
		grep -qe "$word" "$tmp/err" || echo "stderr does not say $word"
		[ ! -s "$tmp/out" ] || echo "something on stdout"
		[ "$before" = "$(listing)" ] || echo "something was left behind"
	} >"$tmp/wrong"
	[ ! -s "$tmp/wrong" ]
	row $? "$name" && return
	cat "$tmp/wrong" "$tmp/err" | comment
}

# usage WORD ARG...: refused as a wrong command line.
usage()
{
	local word=$1

	shift
	refused_with "usage: $(tr '\n' ' ' <<<"${*:-nothing}")" 2 "$word" "$daemon" "$@"
}

# cannot WORD ARG...: refused while it starts.
cannot()
{
	local word=$1

	shift
	refused_with "cannot: $*" 1 "$word" "$daemon" --socket-path=s "$@"
}

# --- Options which only print ---

equal "capabilities" '{"type":"net","features":[]}' "$("$daemon" --foo --print-capabilities 2>&1)"
check "help" "$daemon" --help
equal "the version is one line with the name" 1 "$("$daemon" --version | grep -c '^vhost-user-net [0-9]')"

help_options()
{
	"$daemon" --help | grep -o '^  --[a-z-]*' | tr -d ' ' | sort
}

manual_options()
{
	sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' "$man" | sort
}

manual_is_clean()
{
	[ -z "$(mandoc -Tlint "$man" 2>&1 | tee /dev/stderr)" ]
}

equal "help and the manual have the same options" "$(help_options)" "$(manual_options)"
if command -v mandoc >/dev/null; then
	check "the manual is clean" manual_is_clean
fi

# --- Wrong command lines ---

usage "--socket-path, --fd or --connect" --port=null
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
	cannot "--mac=$mac: not six bytes" --port=null "--mac=$mac"
done
cannot "--mac=53:54:00:12:34:56: not the address of one" --port=null --mac=53:54:00:12:34:56
cannot "--mac=ff:ff:ff:ff:ff:ff: not the address of one" --port=null --mac=ff:ff:ff:ff:ff:ff
cannot "--mac=00:00:00:00:00:00: not the address of one" --port=null --mac=00:00:00:00:00:00
for mtu in 0 67 65536 99999999999999999999 -1 x 1500x " 1500"; do
	cannot "--mtu=$mtu: not a number from 68 to 65535" --port=null "--mtu=$mtu"
done
for fd in x 3, ,3 3,,4 -3 3x 3:4 99999999999; do
	cannot "--tap-fd=$fd: not file descriptors" "--tap-fd=$fd" --queue-pairs=2
done
cannot "--tap-fd=3: 1 of them, not as many as --queue-pairs=2" --tap-fd=3 --queue-pairs=2
cannot "--tap-fd=3,4: 2 of them, not as many as --queue-pairs=1" --tap-fd=3,4
cannot "--tap-fd=99: 99: no such file descriptor" --tap-fd=99
cannot "--tap-fd=0: 0: not a tap" --tap-fd=0
refused_with "fd 3, which nobody gave" 1 "--tap-fd=3: 3: " "$BASH" -c '"$@" 3<&-' sh "$daemon" --socket-path=s --tap-fd=3

# --- Sockets ---

cannot2()
{
	refused_with "cannot: $2" 1 "$1" "$daemon" "$2" --port=null
}

cannot2 "--socket-path=none/s: No such file" --socket-path=none/s
cannot2 "--socket-path=file: .*not a socket" --socket-path=file

start_daemon null --port=null --queue-pairs=4 --threads=2 --packet-size=64 --mac=52:54:00:12:34:56 --mtu=1500
check "front-ends come and go" "$give_fd" talk "$tmp/null.sock" 50
stop_daemon null
start_daemon most --port=null --queue-pairs=127
check "the most pairs" "$give_fd" talk "$tmp/most.sock" 2
stop_daemon most
check "a connected fd: served, and the daemon ends with it" \
	timeout 20 "$give_fd" connected "$daemon" --fd=7 --port=null
for threads in 0 1; do
	start_daemon shrink --port=null --packet-size=100 --threads=$threads
	check "a front-end truncates the guest's memory, $threads threads" "$give_fd" shrink "$tmp/shrink.sock"
	check "the next front-end is served, $threads threads" "$give_fd" talk "$tmp/shrink.sock" 1
	stop_daemon shrink
done

# --- Interfaces ---

if [ "$inside" != inside ]; then
	echo "# no interfaces: they take root and /dev/net/tun"
	finish
fi

up()
{
	ip -o link show "$1" | grep -q "[<,]UP[,>]"
}

cannot "--tap=lo: not a tap interface" --tap=lo
cannot "--tap=longer-than-that-: longer than 15 bytes" --tap=longer-than-that-
cannot "--tap=t0: cannot add it to --bridge=none: no such bridge" --tap=t0 --bridge=none
cannot "--tap=t0: cannot set --mtu=65535" --tap=t0 --mtu=65535
if command -v setpriv >/dev/null; then
	chmod 777 "$tmp" "$work"
	refused_with "no permission" 1 "--tap=t0: not permitted" \
		setpriv --reuid=65534 --clear-groups "$daemon" --socket-path=s --tap=t0
fi
ip tuntap add single mode tap
ip tuntap add several mode tap multi_queue
ip tuntap add tun mode tun
cannot "--tap=tun: not a tap interface" --tap=tun
cannot "--tap=single: it has one queue, fewer than --queue-pairs=2" --tap=single --queue-pairs=2

start_daemon attached --tap=single --up
check "it is up" up single
cannot "--tap=single: another process uses it" --tap=single
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
	cannot "no such bridge" --tap=new1 --bridge=lo
else
	echo "# no bridges in this kernel"
fi

# Deleted while it runs: that is said when somebody looks, and it does not spin meanwhile.
start_daemon deleted --tap=del0
ip link del del0
check "a front-end of a deleted interface" "$give_fd" talk "$tmp/deleted.sock" 1
stop_daemon deleted
finish
