#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Discarded and zeroed ranges of the disk read as zeroes, and their blocks go back to the host.

. "$(dirname "$0")/lib-uml.sh"

mib=1048576

# Room which an image takes on the host, in MiB rounded up.
taken()
{
	echo $((($(stat -c %b "$tmp/$1.img") * 512 + mib - 1) / mib))
}

# between NAME LEAST FOUND MOST
between()
{
	[ "$2" -le "$3" ] && [ "$3" -le "$4" ]
	row $? "$1" || echo "# $3 is not from $2 to $4"
}

test_engine()
{
	local engine=$1 name names=

	for name in discard zero punch trim; do
		pattern $name $((8 * mib)) >"$tmp/$engine-$name.img"
		start_daemon "$engine-$name" --engine="$engine" --blk-file="$tmp/$engine-$name.img"
		names="$names $engine-$name"
	done

	# The disks are in this order. Discard, then zeroes that keep their place, then zeroes
	# that need not.
	uml_guest "$engine" "$names" <<'END'
cd /mnt || exit
check "discard" blkdiscard -o 2M -l 4M /dev/vda
check "write zeroes" fallocate -z -n -o 2M -l 4M /dev/vdb
check "write zeroes, and unmap" fallocate -p -n -o 2M -l 4M /dev/vdc

for name in discard zero punch; do
	case $name in discard) disk=vda ;; zero) disk=vdb ;; punch) disk=vdc ;; esac
	{
		pattern $name 2097152
		head -c 4194304 /dev/zero
		pattern $name 8388608 | tail -c 2097152
	} >wanted
	check "$name: the range is zero, all else is as before" cmp wanted /dev/$disk
done

check "fstrim: mkfs.ext4" mkfs.ext4 -q -E nodiscard /dev/vdd
check "fstrim: mount" mount /dev/vdd fs || exit
pattern file 1000000 >fs/file
check "fstrim" fstrim fs
equal "fstrim: checksum" "$(pattern file 1000000 | sum)" "$(sum <fs/file)"
check "fstrim: unmount" umount fs
check "fstrim: fsck" fsck.ext4 -f -n /dev/vdd
END
	between "$engine: discard gave blocks back" 4 "$(taken "$engine-discard")" 5
	between "$engine: unmapping gave blocks back" 4 "$(taken "$engine-punch")" 5
	between "$engine: fstrim gave blocks back" 1 "$(taken "$engine-trim")" 3
	for name in $names; do
		stop_daemon "$name"
	done
}

for engine in uring aio threads; do
	test_engine $engine
done
finish
