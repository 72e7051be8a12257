#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# fio writes, reads and verifies in User-mode Linux, for each engine and cache mode of the daemon,
# with both formats of rings.

. "$(dirname "$0")/lib-uml.sh"

need fio fio

# test_engine ENGINE CACHE PACKED: PACKED is on or off.
test_engine()
{
	local name=$1-$2

	image "$name" 64M "$direct"
	start_daemon "$name" --blk-file="$image" --engine="$1" --cache="$2" --packed="$3"
	# Blocks of every size, many at once, past the guest's page cache; then small ones through it.
	uml_guest "$name" "$name" PACKED="$3" <<'END'
cd /mnt || exit
equal "packed ring" $PACKED "$(packed | sed 's/0/off/; s/1/on/')"
verify="--filename=/dev/vda --verify=crc32c --verify_fatal=1 --verify_state_save=0 --thread --randrepeat=1"
check "fio with large and small blocks" fio --name=mixed $verify --direct=1 --ioengine=libaio \
	--iodepth=32 --rw=randwrite --bsrange=512-128k --blockalign=512 --size=32M
check "fio writing and reading" fio --name=both $verify --direct=1 --ioengine=libaio \
	--iodepth=16 --rw=randrw --bs=4k --size=8M --io_size=8M --offset=32M --fsync=64
check "fio through the page cache" fio --name=cached $verify --ioengine=psync \
	--rw=randwrite --bs=8k --size=8M --offset=48M --end_fsync=1
END
	stop_daemon "$name"
	rm "$image"
}

direct_folder
row $? "there is a file system with O_DIRECT"
for engine in uring aio threads; do
	test_engine $engine writeback on
	test_engine $engine none off
done
test_engine auto writethrough on
finish
