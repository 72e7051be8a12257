# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# User-mode Linux as front-end: its virtio_uml driver speaks vhost-user, its virtio_blk is the
# ordinary one.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need linux.uml user-mode-linux
need busybox busybox-static
need mkfs.ext4 e2fsprogs
need insmod kmod

# With this User-mode Linux also runs on processors which have AMX.
uml_preload=$top_builddir/tests/interop/.libs/xstate.so

uml_modules=$(echo /usr/lib/uml/modules/*)

# The drivers which the guest needs, the number of their device type, and its memory.
uml_drivers=virtio_blk
uml_type=2
uml_memory=192M

# start_uml_guest NAME "DAEMON..." [VAR=VALUE...] <COMMANDS: run the commands in a guest that has the
# daemons' devices, disks as vda, vdb and so on. The root file system is the host's, read-only.
start_uml_guest()
{
	local name=$1 daemons=$2 files device devices=()

	files=$(files_of "$1")
	shift 2
	guest_script /bin/sh "MODULES=$(module_files "$uml_modules" $uml_drivers | tr '\n' ' ')" "$@" >"$files.init"
	chmod +x "$files.init"
	for device in $daemons; do
		devices+=("virtio_uml.device=$tmp/$device.sock:$uml_type")
	done
	# The guest's memory is a file in /dev/shm; uml_dir keeps its control socket out of the
	# home folder.
	timeout -k 5 "${guest_deadline:-900}" env LD_PRELOAD="$uml_preload" linux.uml mem=$uml_memory uml_dir="$tmp/" \
		root=/dev/root rootfstype=hostfs rootflags=/ ro init="$files.init" \
		con=null con0=null,fd:1 loglevel=1 panic=-1 "${devices[@]}" \
		>"$files.log" 2>&1 </dev/null &
	pids["guest $name"]=$!
}

# uml_says NAME LINE: a row which is ok when a guest has printed such a line.
uml_says()
{
	wait_until 200 uml_said_or_gone "$@" && uml_said "$@"
	row $? "$1: it says $2"
}

uml_said()
{
	tr -d '\r' <"$tmp/guest-${1//[^a-z0-9]/-}.log" | grep -qx -- "$2"
}

uml_said_or_gone()
{
	uml_said "$@" || gone "${pids["guest $1"]}"
}

# end_uml_guest NAME: wait until it is off, and print the rows for its results.
end_uml_guest()
{
	end_guest "$1"
	guest_rows "$1"
}

# uml_guest NAME "DAEMON..." [VAR=VALUE...] <COMMANDS: both.
uml_guest()
{
	start_uml_guest "$@"
	end_uml_guest "$1"
}
