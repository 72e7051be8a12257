#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The command line of vhost-user-scsi, how it starts and how it ends; and that nothing is left behind.

. "$(dirname "$0")/lib-cli.sh"

cli_of scsi
good=(--lun=0,file=disk)
making=(--lun=0,file=new,size=1M)
threaded=(--lun=0,file=disk --threads=2 --num-queues=2)

truncate -s 1M disk other
truncate -s 1000 odd
truncate -s 4608 sectors
truncate -s 2048000 cd

# usage_lun WORD VALUE: refused, and the line names the option.
usage_lun()
{
	usage "--lun=.*: $1" --socket-path=s --lun="$2"
}

# cannot_lun NAME WORD VALUE
cannot_lun()
{
	cannot "$1" "--lun=$3: $2" --socket-path=s --lun="$3"
}

# --- Options which only print ---

equal "capabilities" '{"type":"scsi"}' "$("$daemon" --lun=x --lun= --print-capabilities 2>&1)"
check_help
equal "these are all that there should be" 26 "$(help_options | uniq | wc -l)"

help_keys()
{
	"$daemon" --help | sed -n 's/^    \([a-z][a-z-]*\).*/\1/p' | sort
}

manual_keys()
{
	sed -n '/^\.Sh OPTIONS/,/^\.Sh UNITS/s/^\.It Cm \([a-z-]*\).*/\1/p' "$man" | sort
}

equal "help and the manual have the same keys of --lun" "$(help_keys)" "$(manual_keys)"
equal "these are all keys" 12 "$(help_keys | uniq | wc -l)"
# --- Wrong command lines ---

check_usage
usage "--lun: it is required" --socket-path=s
usage "--lun: it needs a value" --socket-path=s --lun
usage "--lun=: it needs a value" --socket-path=s --lun=
usage "--lun=0,file=other: there is such a unit" --socket-path=s --lun=0:0,file=disk --lun=0,file=other
usage "--lun=1,file=other,x: x: unknown" --socket-path=s --lun=0,file=disk --lun=1,file=other,x
usage "--num-queues=255: not in the range from 1 to 254" --socket-path=s --lun=0,file=disk --num-queues=255
usage "--threads=3: more than queues" --socket-path=s --lun=0,file=disk --num-queues=2 --threads=3
usage "--file: unknown option" --socket-path=s --file=disk
usage_lun "it does not begin with" file=disk
usage_lun "it does not begin with" disk
usage_lun "it does not begin with" ,file=disk
usage_lun "it does not begin with" -1,file=disk
usage_lun "it does not begin with" 16384,file=disk
usage_lun "it does not begin with" 0:16384,file=disk
usage_lun "it does not begin with" 99999999999999999999,file=disk
usage_lun "it does not begin with" 0:,file=disk
usage_lun "it does not begin with" 0:0:0,file=disk
usage_lun "it does not begin with" 0x1,file=disk
usage_lun "it does not begin with" " 0,file=disk"
usage_lun "the target is not in the range" 256:0,file=disk
usage_lun "file: it is required" 0
usage_lun "file: it is required" 0,read-only
usage_lun ": unknown" 0,
usage_lun ": unknown" 0,file=disk,
usage_lun "foo: unknown" 0,file=disk,foo
usage_lun "foo: unknown" 0,file=disk,foo=bar
usage_lun "file: it needs a value" 0,file
usage_lun "file: it needs a value" 0,file=
usage_lun "file: given more than once" 0,file=disk,file=other
usage_lun "read-only: it takes no value" 0,file=disk,read-only=yes
usage_lun "engine: not auto, uring, aio, threads or null" 0,file=disk,engine=foo
usage_lun "cache: not writeback" 0,file=disk,cache=foo
usage_lun "block-size: not 512 or 4096" 0,file=disk,block-size=1024
usage_lun "serial: longer than 20" 0,file=disk,serial=123456789012345678901
usage_lun "size: too small" 0,file=new,size=0
usage_lun "size: not a number" 0,file=new,size=1X
usage_lun "size: not a multiple" 0,file=new,size=1000
usage_lun "size: not a multiple" 0,engine=null,cdrom,size=512
usage_lun "size, read-only" 0,file=new,size=1M,read-only
usage_lun "size, read-only" 0,file=new,size=1M,cdrom
usage_lun "cdrom, block-size" 0,file=cd,cdrom,block-size=4096
usage_lun "engine=null, file" 0,file=disk,engine=null,size=1M
usage_lun "engine=null: it needs size" 0,engine=null
usage_lun "passthrough: the device has" 0,passthrough=/dev/sg0,file=disk
usage_lun "passthrough: the device has" 0,passthrough=/dev/sg0,read-only
usage_lun "timeout: it is for passthrough" 0,file=disk,timeout=30

# --- What cannot be opened ---

cannot_lun "a missing image" "No such file" 0,file=none
cannot_lun "a folder as image" "" 0,file=folder
cannot_lun "an image of half a sector" ".*1000" 0,file=odd
cannot_lun "an image of half a block" ".*4608" 0,file=sectors,block-size=4096
cannot_lun "an image of another size" ".*1048576" 0,file=disk,size=2M
cannot_lun "a comma in the image's name" "No such file" 0,file=no,,such,,file
cannot_lun "a missing device" "No such file" 0,passthrough=none
cannot_lun "a file as device" "not a /dev/sg" 0,passthrough=disk
cannot "the second one of two" "--lun=1,file=none" --socket-path=s --lun=0,file=new,size=1M --lun=1,file=none
cannot "the second one of two is no device" "--lun=1,passthrough=disk" --socket-path=s --lun=0,file=new,size=1M \
	--lun=1,passthrough=disk
cannot "a socket in the place of a file" "--socket-path=file: .*not a socket" --socket-path=file --lun=0,file=new,size=1M
cannot "an image twice, to be written and to be read" "--lun=1,file=disk,read-only: .*in use" --socket-path=s \
	--lun=0,file=disk --lun=1,file=disk,read-only

start_daemon first --lun=0,file=disk
cannot_lun "an image which is in use" ".*in use" 5,file=disk
start_daemon second --lun=5,file=disk,locking=off
stop_daemon second
stop_daemon first

# --- A life ---

: >a,b
truncate -s 1M a,b
start_daemon all --num-queues=3 --threads=2 --lun=0,file=disk,serial=abc,cache=none --lun=1,file=cd,cdrom \
	--lun=255:16383,file=a,,b,block-size=4096,engine=threads --lun=3:0,engine=null,size=1T \
	--lun=3:1,file=other,read-only --lun=3:2,file=other,read-only
check "front-ends come and go" "$give_fd" talk "$tmp/all.sock" 20
for unit in 0:0 0:1 255:16383 3:0 3:1 3:2; do
	check "the log tells of unit $unit" grep -q "unit $unit: " "$tmp/all.log"
done
stop_daemon all

check_bad_fds
check_fds
check_connect
check_sockets "an image which exists" "${good[@]}"
check_sockets "an image which is made" "${making[@]}"

# --- The end ---

check_signals
check_stale_sockets
check_shrink "0 threads" "${good[@]}"
check_shrink "2 threads" "${threaded[@]}"
check_streams_and_arguments --log-level=error
start_daemon created --lun=0,file=new,size=1536K
equal "the new image has the size" 1572864 "$(stat -c %s new)"
stop_daemon created
check "it stays" rm new

finish
