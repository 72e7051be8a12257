# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest which moves from one QEMU to another, each with a daemon of its own on the one image.
#
# Each stay of the guest is called HOME: so are its QEMU and its daemon.  The guest prints to one
# log, wherever it is: only one QEMU runs it at a time.

. "$(dirname "${BASH_SOURCE[0]}")/lib-qemu.sh"

need_guest_kernel
need_qmp

# QEMU 7.2 under software emulation loses writes of the guest's processors when it takes whole words
# out of its bitmap of dirty pages, since it does not tell the processors that their next write to
# such a page counts: on a busy machine one move in eight kills the guest, also one without any
# device.  Where memory is no multiple of 256 KiB it looks at page by page, and does tell.
memory_rest=8

# Arguments of the daemons.
daemon_args=()

# start_home HOME ARG...: the daemon.
start_home()
{
	start_daemon "$1" --blk-file="$image" --log-level=debug "${daemon_args[@]}" "${@:2}"
}

# start_loaded_home HOME PACKED: daemon and guest, with a load of $bytes on its disk; PACKED is 1 or 0.
start_loaded_home()
{
	start_home "$1"
	start_qemu_guest "$1" "$1" BYTES=$bytes PACKED="$2" <<'END'
equal "ring format" $PACKED "$(packed)"
start_load $BYTES 16
echo "LOADING"
read -r line
end_load "load"
END
}

# end_loaded_home HOME GUEST: where it was started as such, and has moved to HOME.
end_loaded_home()
{
	say "$1" end
	end_qemu_guest "$1"
	check "$2, host: each block in the image is whole" \
		"$top_builddir/tests/interop/load" check "$image" $bytes
	stop_daemon "$1"
}

# open_house HOME: a daemon, and a QEMU which waits for the guest.
open_house()
{
	start_home "$1" --locking=off
	qemu "$1" "$1" "${boot_args[@]}" -incoming defer
	capabilities "$1"
}

# What both ends of a migration must agree on.
capabilities()
{
	:
}

# leave FROM TO NAME=VALUE...: start the migration, with these parameters.
leave()
{
	local from=$1 to=$2

	shift 2
	rm -f "$tmp/$to.migrate"
	check "$from to $to: the destination listens" \
		qmp "$to" migrate-incoming uri="unix:$tmp/$to.migrate" &&
		check "$from to $to: it starts" qmp "$from" \
			migrate-set-parameters "$@" , migrate uri="unix:$tmp/$to.migrate"
}

# arrive FROM TO: the migration ends well, and the guest runs at its new home.
arrive()
{
	equal "$1 to $2: the migration ends" completed "$(qmp "$1" --within 120 --get status \
		--until status=completed --until status=failed query-migrate)"
	equal "$1 to $2: the guest runs there" running "$(qmp "$2" --get status --until status=running query-status)"
}

# abandon_house HOME: the guest has given up its move, so QEMU ends, with an error; the daemon is
# ended.
abandon_house()
{
	end_process "guest $1"
	equal "$1: QEMU's exit status when nobody comes" 1 $?
	exec {keyboards[$1]}>&-
	rm -f "$(files_of "$1")".{keyboard,qmp}
	stop_daemon "$1"
}

# close_house HOME: the guest has left; QEMU and the daemon end.
close_house()
{
	check "$1: quit" qmp "$1" quit
	end_process "guest $1"
	equal "$1: QEMU's exit status" 0 $?
	exec {keyboards[$1]}>&-
	stop_daemon "$1"
}
