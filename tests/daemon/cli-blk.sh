#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The command line of vhost-user-blk, how it starts and how it ends; and that nothing is left
# behind.

. "$(dirname "$0")/lib-cli.sh"

cli_of blk
good=(--blk-file=disk)
making=(--blk-file=new --size=1M)
threaded=(--blk-file=disk --threads=2 --num-queues=2)

truncate -s 1M disk
truncate -s 1000 odd
truncate -s 4608 sectors
: >empty
mkfifo fifo

# --- Options which only print ---

capabilities='{"type":"block","features":["read-only","blk-file"]}'

prints_capabilities()
{
	[ "$("$daemon" "$@" 2>&1)" = "$capabilities" ] && "$daemon" "$@" >/dev/null
}

before=$(listing)
check "capabilities" prints_capabilities --print-capabilities
check "capabilities, whatever else is given" prints_capabilities --foo bar --num-queues=0 \
	--print-capabilities --help --socket-path=s --blk-file=new --size=1M
equal "capabilities leave nothing behind" "$before" "$(listing)"

check_help
equal "these are all that there should be" 32 "$(help_options | uniq | wc -l)"

# --- Wrong command lines ---

check_usage
usage "--blk-file: it is required" --socket-path=s
usage "--blk: unknown option" --blk=disk
usage "--blk-file: it needs a value" --socket-path=s --blk-file
usage "--blk-file: it needs a value" --blk-file --socket-path=s
usage "--blk-file=: it needs a value" --socket-path=s --blk-file=
usage_with "--read-only=yes: it takes no value" --read-only=yes
usage_with "--blk-file=disk: given more than once" --blk-file=disk
usage_with "--engine=foo: not auto, uring, aio, threads or null" --engine=foo
usage_with "--engine=: not auto" --engine=
usage_with "--engine=AUTO: not auto" --engine=AUTO
usage_with "--cache=foo: not writeback, none or writethrough" --cache=foo
usage_with "--locking=no: not on or off" --locking=no
usage_with "--block-size=1024: not 512 or 4096" --block-size=1024
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
usage_with "--threads=3: more than queues" --threads=3 --num-queues=2
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
	check_sockets "$image" $image
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

check_bad_fds
check_fds
check_connect

# --- The end ---

check_signals
start_daemon many --engine=null --size=1T --poll-us=50 --threads=3 --num-queues=3 --queue-size=128
check "front-ends come and go" "$give_fd" talk "$tmp/many.sock" 100
stop_daemon many

for threads in 0 1; do
	check_shrink "$threads threads" --blk-file=disk --threads=$threads
done

check_stale_sockets

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

check_streams_and_arguments --cache writethrough --read-only
finish
