#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Units come, change their size and go by the control socket while User-mode Linux is at work, and it
# sees that without a rescan.

. "$(dirname "$0")/lib-uml.sh"

daemon=$top_builddir/scsi/vhost-user-scsi
uml_type=8
uml_drivers="virtio_scsi sd_mod"
guest_libs+=("$interop/guest-scsi.sh")
bytes=$((4 << 20))
rounds=3

# ctl METHOD KEY=VALUE...: a row which is ok if the daemon does it.
ctl()
{
	check "$*" "$top_builddir/tools/vhostctl" "$tmp/scsi.control" "$@"
}

image one 64M; one=$image
image two 32M; two=$image
image three 8M
start_daemon scsi --control="$tmp/scsi.control" --images="$tmp" --lun=0,file="$one" --lun=1:0,file="$image" --threads=1 --num-queues=2

start_uml_guest "guest" scsi LOADER="$top_builddir/tests/interop/load" BYTES=$bytes ROUNDS=$rounds <<'END'
cd /mnt || exit
one=$(disk 0:0) three=$(disk 1:0)
: >load1
: >load3
$LOADER run /dev/$one $BYTES 4 >load1 2>&1 &
load1=$!
$LOADER run /dev/$three $BYTES 2 >load3 2>&1 &
load3=$!

# works PID FILE: whether the load is alive, and goes on.
works()
{
	before=$(wc -l <$2) || return
	wait_for more_lines $2 $before && kill -0 $1
}

more_lines()
{
	[ "$(wc -l <$1)" -gt "$2" ]
}

echo "LOADING"
two=$(disk 0:1)
check "a unit comes" size_is $two 65536
check "the load goes on" works $load1 load1
check "mkfs.ext4 of it" mkfs.ext4 -q /dev/$two
check "mount" mount /dev/$two fs || exit
pattern two 1000000 >fs/two
sync

echo "USED"
check "its new size is seen" wait_for size_is $two 131072
check "resize2fs while it is mounted" resize2fs /dev/$two
check "room for more" dd if=/dev/zero of=fs/large bs=1M count=40 conv=fsync
equal "checksum" "$(pattern two 1000000 | sum)" "$(sum <fs/two)"
check "unmount" umount fs
check "fsck" fsck.ext4 -f -n /dev/$two

echo "GROWN"
check "it goes" wait_for not unit_is_there 0:1
check "its disk, too" [ ! -e /sys/block/$two ]
check "the load still goes on" works $load1 load1
check "the other load, too" works $load3 load3

echo "GONE"
check "a unit goes under load" wait_for not unit_is_there 1:0
wait $load3
check "its load has an error" [ $? -ne 0 ]
check "the first load goes on" works $load1 load1

# Linux adds no other unit than 0 to a target which it does not know.
round=0
while [ $((round += 1)) -le $ROUNDS ]; do
	echo "ROUND $round"
	new=$(disk $((1 + round)):0)
	check "round $round: one comes" size_is $new $((2048 * round))
	: >load2
	$LOADER run /dev/$new $((round << 20)) 2 >load2 2>&1 &
	load2=$!
	check "round $round: it is used" works $load2 load2
	echo "LOADED $round"
	check "round $round: and goes" wait_for not unit_is_there $((1 + round)):0
	wait $load2
	check "round $round: its load has an error" [ $? -ne 0 ]
done
kill $load1
check "the first load's end" wait $load1
equal "units" 1 "$(ls -d $scsi_devices/*:*:*:* | wc -l)"
END

uml_says guest LOADING
ctl lun-add lun=0:1 file="$two" serial=hot
uml_says guest USED
ctl resize lun=0:1 size=64M
uml_says guest GROWN
ctl lun-remove lun=0:1
uml_says guest GONE
ctl lun-remove lun=1:0
for ((round = 1; round <= rounds; round++)); do
	uml_says guest "ROUND $round"
	ctl lun-add lun=$((1 + round)):0 file="$tmp/new$round.img" size=${round}M
	uml_says guest "LOADED $round"
	ctl lun-remove lun=$((1 + round)):0
done
end_uml_guest guest
check "host: each block of the load is whole" "$top_builddir/tests/interop/load" check "$one" $bytes
check "host: fsck of the image which came and went" fsck.ext4 -f -n "$two"
equal "host: its size" $((64 << 20)) "$(stat -c %s "$two")"
stop_daemon scsi
finish
