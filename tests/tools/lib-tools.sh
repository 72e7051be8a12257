# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the tests of the tools share: the daemons to try them on, back-ends which misbehave, and
# what holds for each tool.

. "$(dirname "${BASH_SOURCE[0]}")/../daemon/lib-cli.sh"

bad_backend=$top_builddir/tests/tools/bad_backend

# tool_of NAME: the tool to be tested; what lib-cli.sh calls the daemon.
tool_of()
{
	program=$1
	daemon=$top_builddir/tools/$1
	man=${top_srcdir:-$interop/../..}/man/$1.1
}

# serve NAME PROGRAM ARG...: a row which is ok when it listens at $tmp/NAME.sock, which is {} in its
# arguments.
serve()
{
	local name=$1

	shift
	"${@//\{\}/$tmp/$name.sock}" >"$tmp/$name.log" 2>&1 &
	pids[$name]=$!
	wait_until 30 listening_or_gone "$name" && listening "$name"
	row $? "$name listens" || finish
}

serve_blk()
{
	truncate -s 4M "$tmp/$1.img"
	serve "$1" "$top_builddir/blk/vhost-user-blk" --socket-path={} --blk-file="$tmp/$1.img" "${@:2}"
}

serve_scsi()
{
	truncate -s 4M "$tmp/$1.img"
	serve "$1" "$top_builddir/scsi/vhost-user-scsi" --socket-path={} --lun="0,file=$tmp/$1.img" "${@:2}"
}

serve_net()
{
	serve "$1" "$top_builddir/net/vhost-user-net" --socket-path={} "${@:2}"
}

serve_rng()
{
	serve "$1" "$top_builddir/examples/rng" {}
}

# serve_bad MODE
serve_bad()
{
	serve "$1" "$bad_backend" {} "$1"
}

# end_serving NAME
end_serving()
{
	kill "${pids[$1]}"
	end_process "$1" || true
}

# A socket at which nobody listens any more, stale.sock.
stale_socket()
{
	"$bad_backend" stale.sock hang &
	pids[stale]=$!
	wait_until 30 test -S stale.sock
	{ kill -9 "${pids[stale]}"; end_process stale; } 2>/dev/null
}

# broken NAME WORD ARG...: refused since there is no back-end, or none that answers.
broken()
{
	local name=$1 word=$2

	shift 2
	refused_with "$name" 3 "$word" "$daemon" "$@"
}

# dead_sockets ARG...: sockets with no back-end behind them; arguments before the socket.
dead_sockets()
{
	stale_socket
	broken "no socket" "none.sock: cannot connect: No such file" "$@" none.sock
	broken "nobody listens" "stale.sock: cannot connect: Connection refused" "$@" stale.sock
	broken "a file" "file: cannot connect: Connection refused" "$@" file
	broken "a long name" "cannot connect: File name too long" "$@" "$(printf '%0108d' 0)"
}
