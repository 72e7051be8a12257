#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The command line of vhost-user-blk, how it starts and how it ends; and that nothing is left behind.

program=vhost-user-blk
. "$(dirname "$0")/cli.sh"

# usage_with WORD ARG...: the same, when all else is good.
usage_with()
{
	local word=$1

	shift
	usage "$word" --socket-path=s --blk-file=disk "$@"
}

# --- Options which only print ---

capabilities='{"type":"block","features":["read-only","blk-file"]}'

before=$(listing)
check "capabilities" prints_capabilities --print-capabilities
check "capabilities, whatever else is given" prints_capabilities --foo bar --num-queues=0 \
	--print-capabilities --help --socket-path=s --blk-file=new --size=1M
equal "capabilities leave nothing behind" "$before" "$(listing)"

check "help" "$daemon" --help
check "version" "$daemon" --version
equal "the version is one line with the name" 1 "$("$daemon" --version | grep -c '^vhost-user-blk [0-9]')"
refused_with "help into a full disk" 1 "--help: No space" sh -c '"$1" --help >/dev/full' sh "$daemon"

equal "help and the manual have the same options" "$(help_options)" "$(manual_options)"
equal "these are all that there should be" 21 "$(help_options | uniq | wc -l)"
if command -v mandoc >/dev/null; then
	check "the manual is clean" manual_is_clean
fi

# --- Wrong command lines ---

usage "--socket-path, --fd or --connect"
usage "--socket-path, --fd or --connect" --blk-file=disk
usage "--blk-file: it is required" --socket-path=s
usage "--socket-path, --fd, --connect" --socket-path=s --fd=7 --blk-file=disk
usage "--socket-path, --fd, --connect" --socket-path=s --connect=s --blk-file=disk
usage "--packed=maybe" --socket-path=s --blk-file=disk --packed=maybe
usage "--foo: unknown option" --foo
usage "--foo: unknown option" --foo=bar
usage "--blk: unknown option" --blk=disk
usage "foo: not an option" foo
usage "-s: not an option" -s
usage "--: not an option" --
usage "--=x: not an option\|--: not an option" --=x
usage "--blk-file: it needs a value" --socket-path=s --blk-file
usage "--blk-file: it needs a value" --blk-file --socket-path=s
usage "--blk-file=: it needs a value" --socket-path=s --blk-file=
usage "--socket-path=: it needs a value" --socket-path= --blk-file=disk
usage_with "--read-only=yes: it takes no value" --read-only=yes
usage_with "--help=x: it takes no value" --help=x
usage_with "--blk-file=disk: given more than once" --blk-file=disk
usage_with "--engine=foo: not auto, uring, aio, threads or null" --engine=foo
usage_with "--engine=: not auto" --engine=
usage_with "--engine=AUTO: not auto" --engine=AUTO
usage_with "--cache=foo: not writeback, none or writethrough" --cache=foo
usage_with "--locking=no: not on or off" --locking=no
usage_with "--block-size=1024: not 512 or 4096" --block-size=1024
usage_with "--log-level=all: not error" --log-level=all
usage_with "--serial=123456789012345678901: longer than 20" --serial=123456789012345678901
usage_with "--num-queues=0: not in the range from 1 to 256" --num-queues=0
usage_with "--num-queues=257: not in the range" --num-queues=257
usage_with "--num-queues=x: not a number" --num-queues=x
usage_with "--num-queues=1x: not a number" --num-queues=1x
usage_with "--num-queues=-1: not a number" --num-queues=-1
usage_with "--num-queues=+1: not a number" --num-queues=+1
usage_with "--num-queues= 1: not a number" "--num-queues= 1"
usage_with "--num-queues=0x10: not a number" --num-queues=0x10
usage_with "--num-queues=4294967297: not in the range" --num-queues=4294967297
usage_with "--num-queues=99999999999999999999: not in the range" --num-queues=99999999999999999999
usage_with "--queue-size=0: not in the range" --queue-size=0
usage_with "--queue-size=32769: not in the range" --queue-size=32769
usage_with "--threads=65: not in the range" --threads=65
usage_with "--threads=3: more than queues" --threads=3 --num-queues=2
usage_with "--poll-us=1000001: not in the range" --poll-us=1000001
usage_with "--size=0: too small" --size=0
usage_with "--size=1X: not a number" --size=1X
usage_with "--size=1KK: not a number" --size=1KK
usage_with "--size=1.5G: not a number" --size=1.5G
usage_with "--size=K: not a number" --size=K
usage_with "--size=-1: not a number" --size=-1
usage_with "--size=16777216T: too large" --size=16777216T
usage_with "--size=8388608T: too large" --size=8388608T
usage_with "--size=99999999999999999999: too large" --size=99999999999999999999
usage_with "--size: not a multiple of --block-size" --size=1000
usage_with "--size: not a multiple of --block-size" --size=4608 --block-size=4096
usage_with "--size, --read-only" --size=1M --read-only
usage_with "--engine=null, --blk-file" --engine=null --size=1M
usage "--engine=null: it needs --size" --socket-path=s --engine=null
usage "--fd=x: not a number" --fd=x --blk-file=disk
usage "--fd=2147483648: not in the range" --fd=2147483648 --blk-file=disk
usage_with "--foo?bar: unknown option" $'--foo\nbar'
usage_with "--engine=?: not auto" $'--engine=\n'

# --- What cannot be opened ---

cannot "a missing image" "--blk-file=none: No such file" --socket-path=s --blk-file=none
cannot "an image in a missing folder" "--blk-file=none/disk: No such file" \
	--socket-path=s --blk-file=none/disk --size=1M
cannot "a folder as image" "--blk-file=folder: " --socket-path=s --blk-file=folder
cannot "a pipe as image" "--blk-file=fifo: " --socket-path=s --blk-file=fifo
cannot "a terminal or such as image" "--blk-file=/dev/null: neither" --socket-path=s --blk-file=/dev/null
cannot "an image of half a sector" "--blk-file=odd: .*1000" --socket-path=s --blk-file=odd
cannot "an image of half a block" "--blk-file=sectors: .*4608" --socket-path=s --blk-file=sectors --block-size=4096
cannot "an image of another size" "--blk-file=disk: .*1048576" --socket-path=s --blk-file=disk --size=2M
chmod 000 odd
if [ ! -r odd ]; then
	cannot "an unreadable image" "--blk-file=odd: Permission denied" --socket-path=s --blk-file=odd
	chmod 400 odd
	cannot "an unwritable image" "--blk-file=odd: Permission denied" --socket-path=s --blk-file=odd
fi
chmod 600 odd

# Each with an image which is made before, and must go again.
for image in --blk-file=disk "--blk-file=new --size=1M"; do
	cannot "a socket in a missing folder, $image" "--socket-path=none/s: No such file" \
		--socket-path=none/s $image
	cannot "a socket in the place of a file, $image" "--socket-path=file: .*not a socket" \
		--socket-path=file $image
	cannot "a socket in the place of a folder, $image" "--socket-path=folder: .*not a socket" \
		--socket-path=folder $image
	cannot "a socket with a long name, $image" "--socket-path=.*: too long" \
		--socket-path="$(printf '%0108d' 0)" $image
	start_daemon busy --engine=null --size=1M
	cannot "a busy socket, $image" "--socket-path=$tmp/busy.sock: another process" \
		--socket-path="$tmp/busy.sock" $image
	check "the other daemon is not disturbed, $image" "$give_fd" talk "$tmp/busy.sock" 1
	stop_daemon busy
done

start_daemon first --blk-file=disk
cannot "an image which is in use" "--blk-file=disk: .*in use" --socket-path=s --blk-file=disk
cannot "an image which is in use, to read" "--blk-file=disk: .*in use" --socket-path=s --blk-file=disk --read-only
start_daemon second --blk-file=disk --locking=off
stop_daemon second
cannot "an image which is in use, locking" "--blk-file=disk: .*in use" --socket-path=s --blk-file=disk --locking=on
stop_daemon first

# --- File descriptors ---

# bad_fd NAME WORD COMMAND...: the command runs the daemon with such a file descriptor 7.
bad_fd()
{
	local name=$1 word=$2

	shift 2
	refused_with "$name" 1 "--fd=7: $word" "$@" "$daemon" --fd=7 --blk-file=new --size=1M
}

bad_fd "a closed fd" "no such file descriptor" "$BASH" -c '"$@" 7<&-' sh
bad_fd "a file as fd" "not a socket" "$BASH" -c '"$@" 7<file' sh
bad_fd "a pipe as fd" "not a socket" "$BASH" -c '"$@" 7< <(:)' sh
bad_fd "a datagram socket as fd" "not a Unix stream socket" "$give_fd" datagram
bad_fd "a TCP socket as fd" "not a Unix stream socket" "$give_fd" inet
bad_fd "an idle socket as fd" "neither listening nor connected" "$give_fd" stream
# These numbers are those of files which the daemon opens itself.
for fd in 3 4 5 6; do
	refused_with "fd $fd, which nobody gave" 1 "--fd=$fd: no such file descriptor" \
		"$BASH" -c '"$@" 3<&- 4<&- 5<&- 6<&-' sh "$daemon" --fd=$fd --blk-file=disk
done

check "a connected fd: served, and the daemon ends with it" \
	timeout 20 "$give_fd" connected "$daemon" --fd=7 --blk-file=disk
check "a connected fd, with threads" \
	timeout 20 "$give_fd" connected "$daemon" --fd=7 --blk-file=disk --threads=2 --num-queues=2

"$give_fd" listening "$tmp/given.sock" "$daemon" --fd=7 --blk-file=disk >>"$tmp/given.log" 2>&1 &
pids[given]=$!
wait_until 30 listening given
check "a listening fd: front-ends come and go" "$give_fd" talk "$tmp/given.sock" 3
kill "${pids[given]}"
check "a listening fd: SIGTERM ends the daemon" end_process given
[ -S "$tmp/given.sock" ]
row $? "a listening fd: the socket is left to who made it"

# --- A front-end which listens ---

"$daemon" --connect="$tmp/theirs.sock" --blk-file=disk >"$tmp/connect.log" 2>&1 &
pids[connect]=$!
check "it calls at the front-end's socket, again and again" "$give_fd" answer "$tmp/theirs.sock" 3
check "it goes on calling" "$give_fd" answer "$tmp/theirs.sock" 1
kill "${pids[connect]}"
check "SIGTERM ends it while it calls" end_process connect

# --- The end ---

start_daemon sigint --blk-file=disk
kill -INT "${pids[sigint]}"
check "SIGINT ends the daemon" end_process sigint
[ ! -e "$tmp/sigint.sock" ]
row $? "SIGINT: the socket is gone"

for threads in 0 2; do
	start_daemon sigterm --blk-file=disk --threads=$threads
	check "a front-end stays, $threads threads" stays sigterm
	stop_daemon sigterm
	check "the front-end sees the end, $threads threads" end_process sigterm.stays
done

start_daemon many --engine=null --size=1T --poll-us=50 --threads=3 --num-queues=3 --queue-size=128
check "front-ends come and go" "$give_fd" talk "$tmp/many.sock" 100
stop_daemon many

for threads in 0 1; do
	start_daemon shrink --blk-file=disk --threads=$threads
	check "a front-end truncates the guest's memory, $threads threads" "$give_fd" shrink "$tmp/shrink.sock"
	check "the next front-end is served, $threads threads" "$give_fd" talk "$tmp/shrink.sock" 1
	stop_daemon shrink
done

# Not bash any more, whose traps would take our folder away.
is_daemon()
{
	grep -q vhost-user "/proc/$1/comm"
}

# A signal at any moment of the start: the process ends by it or in order, and leaves nothing.
early()
{
	local i j status

	for i in $(seq 40); do
		"$daemon" --socket-path=s --blk-file=disk --log-level=error &
		pids[early]=$!
		wait_until 10 is_daemon "${pids[early]}" || return 1
		for ((j = 0; j < i * 50; j++)); do :; done
		kill "${pids[early]}"
		end_process early
		status=$?
		[ $status -eq 0 ] || [ $status -eq 143 ] || { echo "exit status $status"; return 1; }
		[ ! -e s ] || { echo "the socket is left"; return 1; }
	done
}
check "SIGTERM at any moment of the start" early

start_daemon killed --blk-file=disk
{ kill -9 "${pids[killed]}"; end_process killed; } 2>/dev/null
[ -S "$tmp/killed.sock" ]
row $? "SIGKILL leaves the socket"
# It takes the place of the stale one.
start_daemon killed --blk-file=disk
check "what replaced it is served" "$give_fd" talk "$tmp/killed.sock" 1
stop_daemon killed

start_daemon replaced --blk-file=disk
rm "$tmp/replaced.sock" && : >"$tmp/replaced.sock"
kill "${pids[replaced]}"
check "a daemon whose socket was replaced ends" end_process replaced
[ -f "$tmp/replaced.sock" ]
row $? "what replaced the socket is not removed"

start_daemon created --blk-file=new --size=1536K
equal "the new image has the size" 1572864 "$(stat -c %s new)"
stop_daemon created
equal "the new image stays" 1572864 "$(stat -c %s new)"
start_daemon created --blk-file=new --size=1536K
stop_daemon created
rm new

start_daemon readers --blk-file=disk --read-only
start_daemon readers2 --blk-file=disk --read-only
stop_daemon readers
stop_daemon readers2

# With stdin, stdout and stderr closed, what is written to them must not go to the image.
closed()
{
	local sum

	sum=$(cksum <disk)
	"$daemon" --socket-path="$tmp/closed.sock" --blk-file=disk <&- >&- 2>&- &
	pids[closed]=$!
	wait_until 30 listening closed
	[ "$(readlink /proc/"${pids[closed]}"/fd/{0,1,2} | sort -u)" = /dev/null ] || return 1
	"$give_fd" talk "$tmp/closed.sock" 2 && kill "${pids[closed]}" && end_process closed &&
		[ "$(cksum <disk)" = "$sum" ]
}
check "closed standard streams" closed

# "--name value" is as good as "--name=value".
spaced()
{
	"$daemon" --socket-path "$tmp/spaced.sock" --blk-file disk --cache writethrough --read-only 2>/dev/null &
	pids[spaced]=$!
	wait_until 30 listening spaced
	kill "${pids[spaced]}" && end_process spaced
}
check "values as arguments of their own" spaced

finish
