#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A disk grows while a guest in QEMU works with it, which sees that without a rescan.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
bytes=$((16 << 20))

image disk 64M
start_daemon disk --blk-file="$image" --control="$tmp/disk.control" --threads=1
start_qemu_guest guest disk BYTES=$bytes <<'END'
# size_is MIB
size_is()
{
	[ "$(cat /sys/block/vda/size)" = $(($1 * 2048)) ]
}

check "64 MiB at first" size_is 64
start_load $BYTES 8
echo "LOADING"
check "128 MiB are seen" wait_for size_is 128
check "what is new can be used" dd if=/dev/zero of=/dev/vda bs=1M seek=100 count=28 conv=fsync
end_load "load"
END

hear guest LOADING
check "resize" "$top_builddir/tools/vhostctl" "$tmp/disk.control" resize size=128M
end_qemu_guest guest
equal "host: its size" $((128 << 20)) "$(stat -c %s "$image")"
check "host: each block of the load is whole" "$top_builddir/tests/interop/load" check "$image" $bytes
stop_daemon disk
finish
