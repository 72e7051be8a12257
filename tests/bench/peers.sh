# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# How back-ends are started, ours and others: each function sets the array command to a command in
# which {} is the socket to listen on.

# built FOLDER/NAME: a program of ours, not libtool's script which calls it.
built()
{
	local program=$top_builddir/$1 real

	real=${program%/*}/.libs/${program##*/}
	[[ -x $real ]] || real=$program
	echo "$real"
}

export LD_LIBRARY_PATH=$top_builddir/libvhost/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
blk=${VHOST_USER_BLK:-$(built blk/vhost-user-blk)}
net=${VHOST_USER_NET:-$(built net/vhost-user-net)}
scsi=${VHOST_USER_SCSI:-$(built scsi/vhost-user-scsi)}
bench=${VHOST_BENCH:-$(built tools/vhost-bench)}
bench_tap=${BENCH_TAP:-$(built tests/bench/bench_tap)}
qsd=${QSD:-qemu-storage-daemon}
testpmd=${TESTPMD:-dpdk-testpmd}

# blk_command OPTION...: vhost-user-blk.
blk_command()
{
	need "$blk" "build it, or set VHOST_USER_BLK"
	command=("$blk" --socket-path={} "$@")
}

# net_command OPTION...: vhost-user-net.
net_command()
{
	need "$net" "build it, or set VHOST_USER_NET"
	command=("$net" --socket-path={} "$@")
}

# qsd_command DRIVER,...: qemu-storage-daemon with this block device.
qsd_command()
{
	need "$qsd" "Debian has it in qemu-utils"
	command=("$qsd" --blockdev "node-name=disk,driver=$1" --export
		"type=vhost-user-blk,id=export,node-name=disk,writable=on,addr.type=unix,addr.path={}")
}

# testpmd_command MODE OPTION...: DPDK's net_vhost, forwarding so; options are testpmd's or
# devices. It polls all the time, on core 1.
testpmd_command()
{
	local mode=$1 devices=()

	shift
	while [[ ${1:-} == --vdev ]]; do
		devices+=("$1" "$2")
		shift 2
	done
	need "$testpmd" "Debian has it in dpdk-dev"
	command=("$testpmd" --lcores 0@1,1@1 --no-huge -m 256 --no-pci --no-shconf
		--file-prefix="bench-$$" --vdev "net_vhost0,iface={},queues=1" "${devices[@]}" --
		--forward-mode="$mode" --auto-start --disable-link-check --total-num-mbufs=16384
		--stats-period=100000 "$@")
}

# In quotes, since it has a "--" of its own, which vhost-bench compare would take for its own.
in_a_shell()
{
	local quoted

	printf -v quoted '%q ' "${command[@]}"
	command=(sh -c "exec ${quoted//\\\{\\\}/{\}}")
}
