#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Daemons under a service manager: sockets which it hands over, and what it is told.

. "$(dirname "$0")/lib-cli.sh"

cli_of blk
good=(--engine=null --size=1M --num-queues=2)

# --- Sockets ---

# passing NAME ASSIGNMENT...: the command which runs the daemon with such an environment and a
# socket at $tmp/NAME.sock as fd 3 and 4; \$\$ in an assignment is the daemon's pid.
passing()
{
	local name=$1 script='exec 3<&7 4<&7 7<&-;'

	shift
	passing=("$give_fd" listening "$tmp/$name.sock" "$BASH" -c "$script $* exec \"\$@\"" sh "$daemon")
}

# start_passed NAME ARG...: the daemon runs as "${passing[@]}".
start_passed()
{
	local name=$1

	shift
	"${passing[@]}" "${good[@]}" "$@" >>"$tmp/$name.log" 2>&1 &
	pids[$name]=$!
	wait_until 30 listening "$name"
	row $? "$name: there is a socket"
}

# end_passed NAME: it ends on SIGTERM and leaves the socket to who made it.
end_passed()
{
	kill "${pids[$1]}"
	check "$1: SIGTERM ends the daemon" end_process "$1"
	[ -S "$tmp/$1.sock" ]
	row $? "$1: the socket stays"
}

passing passed 'LISTEN_PID=$$ LISTEN_FDS=1'
start_passed passed
check "a socket which was passed is served" "$give_fd" talk "$tmp/passed.sock" 3
end_passed passed

# A socket is found by what is left when the others have been asked for by name, so names alone
# say nothing here.
passing named 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=vhost-user-blk@vm1.socket'
start_passed named
check "a socket with a name is served" "$give_fd" talk "$tmp/named.sock" 1
end_passed named

# As the units have it: the front-end's socket, and that of vhostctl, in any order.
for names in front-end:control control:front-end; do
	first=${names%%:*} second=${names##*:}
	"$give_fd" listening "$tmp/$first.sock" "$BASH" -c 'exec 3<&7 7<&-; exec "$@"' sh \
		"$give_fd" listening "$tmp/$second.sock" "$BASH" -c \
		'exec 4<&7 7<&-; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=$0 exec "$@"' "$names" \
		"$daemon" "${good[@]}" >>"$tmp/pair.log" 2>&1 &
	pids[pair]=$!
	check "$names: both sockets are there" wait_until 30 listening "$second"
	check "$names: the front-end is served" "$give_fd" talk "$tmp/front-end.sock" 2
	check "$names: so is vhostctl" "$top_builddir/tools/vhostctl" "$tmp/control.sock" status
	kill "${pids[pair]}"
	check "$names: SIGTERM ends the daemon" end_process pair
	check "$names: the sockets stay" [ -S "$tmp/front-end.sock" -a -S "$tmp/control.sock" ]
	rm -f "$tmp/front-end.sock" "$tmp/control.sock"
done

# refused_passed NAME STATUS WORD ASSIGNMENT... -- ARG...
refused_passed()
{
	local name=$1 status=$2 word=$3 assignments=()

	shift 3
	while [ "$1" != -- ]; do
		assignments+=("$1")
		shift
	done
	shift
	rm -f "$tmp/refused.sock"
	passing refused "${assignments[@]}"
	refused_with "$name" "$status" "$word" "${passing[@]}" "${good[@]}" "$@"
}

refused_passed "sockets of another process are not taken" 2 "one of them is required" \
	LISTEN_PID=1 LISTEN_FDS=1 --
refused_passed "nor those of nobody" 2 "one of them is required" LISTEN_FDS=1 --
refused_passed "two sockets" 2 "LISTEN_FDS: more than one socket" 'LISTEN_PID=$$ LISTEN_FDS=2' --
refused_passed "no number of sockets" 1 "LISTEN_FDS=x: not a number" 'LISTEN_PID=$$ LISTEN_FDS=x' --
refused_passed "too many sockets" 1 "LISTEN_FDS=99: not a number" 'LISTEN_PID=$$ LISTEN_FDS=99' --
refused_passed "a socket which is not there" 1 "LISTEN_FDS=1: Bad file" \
	'exec 3<&- 4<&-;' 'LISTEN_PID=$$ LISTEN_FDS=1' --
refused_passed "a file instead of a socket" 1 "LISTEN_FDS=3: not a socket" \
	'exec 3<file;' 'LISTEN_PID=$$ LISTEN_FDS=1' --
refused_passed "a socket which was passed and one by option" 2 "LISTEN_FDS has a socket already" \
	'LISTEN_PID=$$ LISTEN_FDS=1' -- --socket-path=s

# Systemd's own program, which waits for the first caller.
if command -v systemd-socket-activate >/dev/null; then
	systemd-socket-activate -l "$tmp/activated.sock" --fdname=disk "$daemon" "${good[@]}" \
		>>"$tmp/activated.log" 2>&1 &
	pids[activated]=$!
	wait_until 30 listening activated
	row $? "systemd-socket-activate listens"
	check "it starts the daemon, which is served" "$give_fd" talk "$tmp/activated.sock" 3
	end_passed activated
else
	row 0 "systemd-socket-activate # SKIP package systemd is not installed"
fi

# --- Notification ---

# told NAME TEXT: such a datagram has come.
told()
{
	grep -qFx -- "$2" "$tmp/$1.told"
}

# listen_as NAME ADDRESS
listen_as()
{
	"$top_builddir/tests/daemon/notified" "$2" >"$tmp/$1.told" 2>&1 &
	pids[$1.manager]=$!
	wait_until 30 told "$1" listening
	row $? "$1: a service manager listens"
}

idle="READY=1|STATUS=waiting for a front-end"
busy="STATUS=front-end connected; 2 queues of up to 1024 entries"

# check_told NAME ADDRESS: all that a life consists of.
check_told()
{
	local name=$1

	listen_as "$name" "$2"
	# The daemon's life signs come every 20 ms.
	export NOTIFY_SOCKET=$2 WATCHDOG_USEC=40000
	start_daemon "$name" "${good[@]}"
	unset NOTIFY_SOCKET WATCHDOG_USEC
	check "$name: ready" wait_until 30 told "$name" "$idle"
	check "$name: signs of life" wait_until 30 told "$name" "WATCHDOG=1"
	stays "$name"
	check "$name: a front-end is connected" wait_until 30 told "$name" "$busy"
	kill "${pids[$name.stays]}"
	check "$name: it has left" wait_until 30 told "$name" "STATUS=waiting for a front-end"
	kill "${pids[$name]}"
	check "$name: the daemon ends" end_process "$name"
	check "$name: it said so" wait_until 30 told "$name" "STOPPING=1|STATUS=completing requests"
	equal "$name: it was ready once, and said that first" "1:$idle" \
		"$(sed 1d "$tmp/$name.told" | grep -n READY)"
	equal "$name: it said nothing else" "" "$(sort -u "$tmp/$name.told" | grep -vFx \
		-e listening -e "$idle" -e "$busy" -e WATCHDOG=1 \
		-e "STATUS=waiting for a front-end" -e "STOPPING=1|STATUS=completing requests")"
	kill "${pids[$name.manager]}"
	unset "pids[$name.manager]" "pids[$name.stays]"
}

check_told path "$tmp/notify"
check_told abstract "@vhost-user-test-$$"

# Life signs are for whom the watchdog waits.
listen_as other "$tmp/notify-other"
NOTIFY_SOCKET=$tmp/notify-other WATCHDOG_USEC=20000 WATCHDOG_PID=1 start_daemon other "${good[@]}"
check "other: ready" wait_until 30 told other "$idle"
stop_daemon other
check "other: it said so" wait_until 30 told other "STOPPING=1|STATUS=completing requests"
equal "other: no signs of life for another process" 0 "$(grep -c WATCHDOG "$tmp/other.told")"

# A daemon whose main thread is stuck gives no more signs, although its others work; so the service
# manager would begin a new one.  The signs of another daemon tell how much time has passed.
alive()
{
	grep -cFx "WATCHDOG=1" "$tmp/$1.told"
}

# more_alive NAME COUNT: it has given more signs than that.
more_alive()
{
	[ "$(alive "$1")" -gt "$2" ]
}

for name in stuck clock; do
	listen_as $name "$tmp/notify-$name"
	NOTIFY_SOCKET=$tmp/notify-$name WATCHDOG_USEC=40000 start_daemon $name "${good[@]}" --threads=1
	check "$name: signs of life" wait_until 30 more_alive $name 1
done
mkfifo "$tmp/hold"
"$top_builddir/tests/daemon/hold" "${pids[stuck]}" <"$tmp/hold" >"$tmp/held" 2>&1 &
pids[hold]=$!
exec 8>"$tmp/hold"
wait_until 10 [ -s "$tmp/held" ]
if grep -q ptrace "$tmp/held"; then
	row 0 "a stuck loop # SKIP $(cat "$tmp/held")"
else
	check "stuck: its main thread is held" grep -qx held "$tmp/held"
	# One may have been on its way.
	signs=$(alive clock)
	wait_until 30 more_alive clock $((signs + 1))
	before=$(alive stuck) signs=$(alive clock)
	check "clock: time passes" wait_until 30 more_alive clock $((signs + 10))
	equal "stuck: it gives no sign" "$before" "$(alive stuck)"
	exec 8>&-
	check "stuck: it is let go" end_process hold
	check "stuck: and gives signs" wait_until 30 more_alive stuck "$before"
fi
exec 8>&-
stop_daemon stuck
stop_daemon clock

# A manager which has gone, and one which cannot be, are no reason not to serve.
NOTIFY_SOCKET=$tmp/none/none start_daemon deaf "${good[@]}"
stop_daemon deaf
NOTIFY_SOCKET=nonsense start_daemon nonsense "${good[@]}"
check "nonsense: this is said" grep -q "NOTIFY_SOCKET=nonsense: not the name" "$tmp/nonsense.log"
stop_daemon nonsense

# --- The journal ---

# start_logged NAME FILE: the daemon's stderr is its log, and the journal is this file.
start_logged()
{
	: >"$tmp/$1.log"
	JOURNAL_STREAM=$(stat -c %d:%i "$2") start_daemon "$1" "${good[@]}"
	check "$1: a front-end comes and goes" "$give_fd" talk "$tmp/$1.sock" 1
	stop_daemon "$1"
}

: >"$tmp/journal.log"
start_logged journal "$tmp/journal.log"
equal "journal: each line has its level" "" "$(grep -v '^<6>vhost-user-blk: ' "$tmp/journal.log")"
check "journal: the device is named" grep -q "^<6>vhost-user-blk: journal: front-end connected" \
	"$tmp/journal.log"
start_logged elsewhere "$tmp/journal.log"
equal "elsewhere: no line has" "" "$(grep '^<' "$tmp/elsewhere.log")"
: >"$tmp/error.log"
JOURNAL_STREAM=$(stat -c %d:%i "$tmp/error.log") "$daemon" 2>"$tmp/error.log"
check "journal: an error's level" grep -q "^<3>vhost-user-blk: " "$tmp/error.log"

finish
