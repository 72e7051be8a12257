#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The control socket, as vhostctl sees it: what each daemon says, and that what it is told happens.

. "$(dirname "$0")/lib-cli.sh"

vhostctl=$top_builddir/tools/vhostctl
sockets=$tmp/sockets
mkdir -p "$sockets/blk" "$sockets/scsi" "$sockets/net"
truncate -s 1M disk unit

# ctl ARG...: of the daemon whose socket is $socket.
ctl()
{
	local method=$1

	shift
	"$vhostctl" --dir="$sockets" "$socket" "$method" "$@"
}

# says NAME TEXT ARG...: that is in what the method answers.
says()
{
	local name=$1 text=$2 found

	shift 2
	found=$(ctl "$@" 2>&1)
	grep -qe "$text" <<<"$found"
	row $? "$name" && return
	comment <<<"$found"
}

# fails NAME STATUS TEXT ARG...: vhostctl ends with this status, and one line with this text.
fails()
{
	local name=$1 status=$2 text=$3 found

	shift 3
	found=$("$vhostctl" --dir="$sockets" "$@" 2>&1 >/dev/null)
	[ $? -eq "$status" ] && [ "$(wc -l <<<"$found")" -eq 1 ] &&
		grep -q "^vhostctl: .*$text" <<<"$found"
	row $? "$name" && return
	comment <<<"$found"
}

start_controlled()
{
	cli_of "$1"
	socket=$1/vm1
	start_daemon "$@" --control="$sockets/$1/vm1.control"
}

stop_controlled()
{
	check "$1: it quits" ctl quit
	check "$1: the process ends" end_process "$1"
	check "$1: the control socket is gone" [ ! -e "$sockets/$1/vm1.control" ]
}

# What all have.
common()
{
	check "$1: help" ctl help
	ctl --json help >"$tmp/help.json"
	check "$1: the schema agrees" schema_agrees "$1"
	says "$1: version" "name: vhost-user-$1" version
	says "$1: status" "status: waiting for a front-end" status
	says "$1: config" "control: $sockets/$1/vm1.control" config
	says "$1: stats" "connection_errors" --json stats
	equal "$1: the manuals name what is counted" "" "$(ctl --json stats | unnamed "$1")"
	check "$1: a front-end comes and goes" "$give_fd" talk "$tmp/$1.sock" 2
	wait_until 30 counted 2
	row $? "$1: both connections are counted"
	check "$1: stats-reset" ctl stats-reset
	check "$1: none is counted any more" counted 0
	check "$1: a front-end stays" stays "$1"
	says "$1: it is seen" "connected: true" status
	check "$1: log-level" ctl log-level level=debug
	says "$1: it is debug" "level: debug" log-level
	says "$1: config knows it" "log-level: debug" config
	check "$1: log-level back" ctl log-level level=info
	fails "$1: no such level" 1 "level: not error" "$socket" log-level level=all
	fails "$1: no such parameter" 1 "foo: unknown" "$socket" log-level foo=1
	fails "$1: no such method" 1 "no such method" "$socket" foo
	equal "$1: the list has it" "$1/vm1" "$("$vhostctl" --dir="$sockets" list | sed 's/ .*//')"
}

schema_agrees()
{
	"$top_builddir/tests/daemon/schema" "${top_srcdir:-$interop/../..}/daemons/control.schema.json" \
		"vhost-user-$1" <"$tmp/help.json"
}

# unnamed KIND: of the members of an object those which no manual has in a list.
unnamed()
{
	local pages=${top_srcdir:-$interop/../..}/man

	grep -o '"[a-z0-9_]*":[^{[]' | sed 's/"//; s/".*//' | sort -u | grep -vxFf <(
		sed -n 's/^\.It Cm //p' "$pages/vhostctl.1" "$pages/vhost-user-$1.1" |
			sed 's/ , /\n/g')
}

counted()
{
	ctl --json stats 2>&1 | grep -q "\"connections\":$1,"
}

# --- The client ---

cli_of blk
socket=blk/vm1
fails "nothing is said" 2 "a socket and a method"
fails "only a socket" 2 "a socket and a method" blk/vm1
fails "nobody is there" 3 "blk/vm1.control: No such file" blk/vm1 help
fails "a number which is none" 2 "no good value" --timeout=x list
fails "--watch of something else" 2 "--watch is for stats" --watch blk/vm1 help
check "help" "$vhostctl" --help
equal "version" "vhostctl $("$daemon" --version | cut -d' ' -f2)" "$("$vhostctl" --version)"
"$vhostctl" --help >/dev/full 2>/dev/null
equal "help into a full disk" 1 $?
equal "an empty list" "" "$("$vhostctl" --dir="$sockets" list)"

# --- Disks ---

start_controlled blk --blk-file=disk --num-queues=2 --threads=2
common blk
says "blk: status" "size: 1048576" status
says "blk: resize" "size: 2097152" resize size=2M
equal "blk: the file has grown" 2097152 "$(stat -c %s disk)"
truncate -s 3M disk
says "blk: resize to what the file has by now" "size: 3145728" resize
fails "blk: half a sector" 1 "512" blk/vm1 resize size=1000
fails "blk: no size" 1 "size: not a number of bytes" blk/vm1 resize size=x
says "blk: it has the last good size" "size: 3145728" status
stop_controlled blk

# in_flight N: status says so many, or what the pattern allows.
in_flight()
{
	ctl status 2>&1 | grep -qx "outstanding: $1"
}

# With this engine writes are elsewhere while the worker, which knows of them, is asked.
truncate -s 64M large
start_controlled blk --blk-file=large --engine=threads --threads=2
"$top_builddir/tools/vhost-bench" blk --rw=randwrite --bs=1M --depth=16 --queues=2 \
	--time=60 "$tmp/blk.sock" >/dev/null 2>&1 &
pids[load]=$!
check "blk: requests in flight" wait_until 30 in_flight "[1-9][0-9]*"
kill "${pids[load]}"
{ end_process load; } 2>/dev/null
check "blk: and none when the load has gone" wait_until 30 in_flight 0
stop_controlled blk
rm large

# --- Units ---

start_controlled scsi --lun=0,file=disk --images=.
common scsi
before=$(ctl config)
check "scsi: lun-add" ctl lun-add lun=1:2 file=unit read-only=true block-size=4096
says "scsi: it is there" "lun: 1:2" status
says "scsi: config has it" "1:2,file=unit,read-only,block-size=4096" config
fails "scsi: it is there already" 1 "there is such a unit" scsi/vm1 lun-add lun=1:2 file=unit
fails "scsi: no such file" 1 "No such file" scsi/vm1 lun-add lun=3 file=none
fails "scsi: no file" 1 "file: it is required" scsi/vm1 lun-add lun=3
fails "scsi: no lun" 1 "lun: it is required" scsi/vm1 lun-add file=unit
fails "scsi: no parameter" 1 "lun: it is required" scsi/vm1 lun-add
fails "scsi: the file is in use" 1 "in use" scsi/vm1 lun-add lun=3 file=disk read-only=true
fails "scsi: no such key" 1 "foo: unknown" scsi/vm1 lun-add lun=3 foo=disk
check "scsi: lun-add makes an image" ctl lun-add lun=4 file=made size=1M
fails "scsi: and takes it back" 1 "cannot\|not\|multiple" scsi/vm1 lun-add lun=5 file=made2 size=1000
check "scsi: which is gone" [ ! -e made2 ]
check "scsi: resize" ctl resize lun=4 size=2M
equal "scsi: the file has grown" 2097152 "$(stat -c %s made)"
fails "scsi: resize of no unit" 1 "no such unit" scsi/vm1 resize lun=7 size=2M
fails "scsi: resize to half a sector" 1 "multiple of the block size" scsi/vm1 resize lun=4 size=1000
check "scsi: lun-remove" ctl lun-remove lun=1:2
check "scsi: lun-remove" ctl lun-remove lun=0:4
fails "scsi: it is gone" 1 "no such unit" scsi/vm1 lun-remove lun=1:2
fails "scsi: no address" 1 "lun: it does not begin with" scsi/vm1 lun-remove lun=x
equal "scsi: all is as before" "$before" "$(ctl config)"
check "scsi: what was made stays" [ -e made ]
check "scsi: what was removed is not locked any more" ctl lun-add lun=9 file=made
check "scsi: lun-remove" ctl lun-remove lun=9

# with_fd MODE ARG...: a call with such a descriptor of the file.
with_fd()
{
	local mode=$1

	shift
	case $mode in
	rw) ctl --fd=9 "$@" 9<>made ;;
	ro) ctl --fd=9 "$@" 9<made ;;
	folder) ctl --fd=9 "$@" 9<folder ;;
	esac
}

mv made elsewhere && ln elsewhere made
check "scsi: lun-add with a descriptor" with_fd rw lun-add lun=9 file=known-as
rm made
says "scsi: it has the name which was said, and the size of what was given" "file: known-as" status
says "scsi: it has the size of what was given" "size: 2097152" status
mv elsewhere made
fails "scsi: it is in use" 1 "in use" scsi/vm1 lun-add lun=10 file=made
check "scsi: lun-remove" ctl lun-remove lun=9
check "scsi: a descriptor to read" with_fd ro lun-add lun=9 file=x read-only=true
check "scsi: lun-remove" ctl lun-remove lun=9
equal "scsi: a descriptor to read is not enough to write" \
	"vhostctl: lun-add: the file descriptor is not open for reading and writing" \
	"$(with_fd ro lun-add lun=9 file=x 2>&1)"
check "scsi: a folder is refused" [ "$(with_fd folder lun-add lun=9 file=x read-only=true 2>&1 | wc -l)" = 1 ]
equal "scsi: no descriptor is left" 0 \
	"$(find "/proc/${pids[scsi]}/fd" -lname "$work/*" ! -lname "$work/disk" | wc -l)"
stop_controlled scsi

# --- Networks ---

start_controlled net --port=null --queue-pairs=2
common net
says "net: the link is up" "link: up" status
says "net: down" "state: down" link state=down
says "net: it is down" "link: down" status
says "net: it is told" "state: down" link
says "net: up" "state: up" link state=up
fails "net: neither" 1 "state: not up or down" net/vm1 link state=on
says "net: watched" "no queue is in use" --watch=0.01 --count=2 stats
stop_controlled net
finish
