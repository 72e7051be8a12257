#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# User-mode Linux formats, mounts and verifies a disk: on one connection twice, and on the next
# connection.

. "$(dirname "$0")/lib-uml.sh"

bytes=5000000

# Contents of a file in the image's ext4, as a checksum; read without mounting it.
sum_in_image()
{
	debugfs -R "cat $1" "$image" 2>/dev/null | sha256sum | cut -d' ' -f1
}

image disk 64M
start_daemon disk --blk-file="$image" --serial=first-light

uml_guest "first guest" disk BYTES=$bytes <<'E1'
cd /sys/block/vda || exit
equal "size in sectors" 131072 "$(cat size)"
equal "serial number" first-light "$(cat serial)"
equal "logical block size" 512 "$(cat queue/logical_block_size)"
equal "not read-only" 0 "$(cat ro)"
cd /mnt || exit

check "mkfs.ext4" mkfs.ext4 -q /dev/vda
check "mount" mount /dev/vda fs || exit
pattern one $BYTES >one
want=$(sum <one)
check "write a file" cp one fs/one
check "write many files" sh -c "mkdir fs/many && split -b 5000 -a 3 one fs/many/"
check "unmount" umount fs
check "fsck" fsck.ext4 -f -n /dev/vda

driver=/sys/bus/virtio/drivers/virtio_blk
device=$(basename "$driver"/virtio*)
check "unbind the driver" sh -c "echo $device >$driver/unbind"
check "the disk is gone" [ ! -e /sys/block/vda ]
check "bind the driver" sh -c "echo $device >$driver/bind"
equal "size after that" 131072 "$(cat /sys/block/vda/size)"
equal "serial number after that" first-light "$(cat /sys/block/vda/serial)"

check "mount again" mount /dev/vda fs || exit
equal "checksum of the file" "$want" "$(sum <fs/one)"
equal "checksum of the many files" "$want" "$(cat fs/many/* | sum)"
pattern two $BYTES >fs/two
check "unmount again" umount fs
check "fsck again" fsck.ext4 -f -n /dev/vda
E1

one=$(pattern one $bytes | sum)
two=$(pattern two $bytes | sum)
three=$(pattern three $bytes | sum)
check "host: fsck of the image" fsck.ext4 -f -n "$image"
equal "host: the first file is in the image" "$one" "$(sum_in_image /one)"
equal "host: the second file is in the image" "$two" "$(sum_in_image /two)"

uml_guest "second guest" disk BYTES=$bytes ONE="$one" TWO="$two" <<'E2'
check "mount" mount /dev/vda /mnt/fs || exit
cd /mnt/fs || exit
equal "checksum of the first file" "$ONE" "$(sum <one)"
equal "checksum of the second file" "$TWO" "$(sum <two)"
rm one two
pattern three $BYTES >three
cd / || exit
check "unmount" umount /mnt/fs
check "fsck" fsck.ext4 -f -n /dev/vda
E2

check "host: fsck of the image after the second guest" fsck.ext4 -f -n "$image"
equal "host: the third file is in the image" "$three" "$(sum_in_image /three)"
stop_daemon disk
finish
