#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU's guests use the units of vhost-user-scsi-pci as QEMU has it by default: several targets and
# numbers, file systems, a CD and a verified load at once, while units come, go and grow, and QEMU stops
# and goes on; and after a reboot.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
need_qmp
need genisoimage genisoimage
daemon=$top_builddir/scsi/vhost-user-scsi
guest_device=vhost-user-scsi-pci
guest_driver="virtio_scsi sd_mod sr_mod isofs"
guest_libs+=("$interop/guest-scsi.sh")
bytes=300000
load_bytes=$((8 << 20))
mib=1048576

# A CD with two files.
make_cd()
{
	mkdir "$tmp/cd"
	pattern cd $bytes >"$tmp/cd/large"
	echo "a small one" >"$tmp/cd/small"
	genisoimage -quiet -R -V FIRSTLIGHT -o "$tmp/cd.iso" "$tmp/cd"
}

sum_in_image()
{
	debugfs -R "cat $2" "$1" 2>/dev/null | sum
}

# ctl NUMBER METHOD KEY=VALUE...: a row which is ok if the daemon does it.
ctl()
{
	check "${*:2}" "$top_builddir/tools/vhostctl" "$tmp/control$1" "${@:2}"
}

# Room which an image takes on the host, in MiB rounded up.
taken()
{
	echo $((($(stat -c %b "$1") * 512 + mib - 1) / mib))
}

# test_queues NUMBER: as many processors and request queues. The rings are split: QEMU offers packed
# ones of this device to its guest if it is told to, but does not tell the device.
test_queues()
{
	local n=$1 name="$1 queues" one two three four left round

	image "one$n" 64M; one=$image
	image "two$n" 32M; two=$image
	image "three$n" 16M; three=$image
	pattern full $((8 * mib)) >"$tmp/four$n.img"; four=$tmp/four$n.img
	# What the guest leaves of it when it has discarded 4 MiB; to make all this is too much for it.
	left=$({ head -c $((2 * mib)) "$four"; head -c $((4 * mib)) /dev/zero; tail -c $((2 * mib)) "$four"; } | sum)
	qemu_args=(-smp "$n")
	disk_properties=",num_queues=$n"
	start_daemon "scsi$n" --num-queues="$n" --control="$tmp/control$n" --images="$tmp" --threads=$((n - 1)) \
		--lun=0,file="$one",serial=first-light --lun=1,file="$tmp/cd.iso",cdrom \
		--lun=7:0,file="$three" --lun=7:300,file="$two",block-size=4096 --lun=255:16383,file="$four"

	start_qemu_guest "$name" "scsi$n" N="$n" BYTES=$bytes LOAD=$load_bytes FOUR="$left" CD="$(pattern cd $bytes | sum)" <<'END'
cd /mnt || exit
one=$(disk 0:0) cd=$(disk 0:1) three=$(disk 7:0) two=$(disk 7:300) four=$(disk 255:16383)

# write DISK NAME: a file on a file system.
write()
{
	check "$boot: mount $2" mount -t ext4 /dev/$1 fs || exit
	pattern "$2 $N" $BYTES >fs/$2
	check "$boot: unmount $2" umount fs
	check "$boot: fsck $2" fsck.ext4 -f -n /dev/$1
}

verify()
{
	check "$boot: mount $2 again" mount -t ext4 /dev/$1 fs || exit
	equal "$boot: checksum of $2" "$(pattern "$2 $N" $BYTES | sum)" "$(sum <fs/$2)"
	check "$boot: unmount $2 again" umount fs
}

if [ "$(dd if=/dev/$four bs=512 count=1 2>/dev/null | head -c 6)" != booted ]; then
	boot="first boot"
	equal "$boot: queues" "$N" "$(ls /sys/block/$one/mq | wc -l)"
	equal "$boot: units" 5 "$(ls -d $scsi_devices/*:*:*:* | wc -l)"
	equal "$boot: size of the first disk" 131072 "$(cat /sys/block/$one/size)"
	equal "$boot: block size of the second disk" 4096 "$(cat /sys/block/$two/queue/logical_block_size)"
	equal "$boot: vendor" libvhost "$(cat /sys/block/$one/device/vendor | tr -d ' ')"
	equal "$boot: serial number" first-light "$(tail -c +5 /sys/block/$one/device/vpd_pg80)"
	equal "$boot: write cache" "write back" "$(cat /sys/block/$one/queue/write_cache)"

	load run /dev/$three $LOAD $((4 * N)) &
	load_pid=$!
	echo "LOADING"
	check "$boot: mkfs.ext4 one" mkfs.ext4 -q /dev/$one
	check "$boot: mkfs.ext4 two" mkfs.ext4 -q /dev/$two
	write $one one
	write $two two

	check "$boot: mount the CD" mount -t iso9660 -o ro /dev/$cd fs || exit
	equal "$boot: a small file on the CD" "a small one" "$(cat fs/small)"
	equal "$boot: a large file on the CD" "$CD" "$(sum <fs/large)"
	refused "$boot: the CD cannot be written" touch fs/new
	check "$boot: unmount the CD" umount fs
	# What the driver thinks of the CD does not matter to this one.
	refused "$boot: not even as a whole" sh -c "echo 0 >/sys/block/$cd/ro; dd if=/dev/zero of=/dev/$cd bs=2048 count=1 conv=fsync"

	check "$boot: discard" blkdiscard -o 2097152 -l 4194304 /dev/$four
	equal "$boot: what was discarded is zero, all else is as before" "$FOUR" "$(sum </dev/$four)"
	check "$boot: discard by mount" mount -t ext4 -o discard /dev/$one fs || exit
	check "$boot: fstrim" fstrim fs
	check "$boot: unmount after fstrim" umount fs
	verify $one one

	echo "PLUG"
	new=$(disk 9:0)
	check "$boot: a unit comes" size_is $new 2048
	check "$boot: it is written" dd if=/dev/zero of=/dev/$new bs=1M count=1 conv=fsync
	echo "PLUGGED"
	check "$boot: it goes" wait_for not unit_is_there 9:0
	check "$boot: the new size of another one is seen" wait_for size_is $four 24576
	read -r line
	end_load "$boot: load"
	check "$boot: leave a mark" sh -c "echo booted | dd of=/dev/$four bs=512 conv=sync,notrunc,fsync"
	sync
	exec busybox reboot -f
fi

boot="second boot"
verify $one one
verify $two two
# All processors, and so all queues, at once.
mount -t ext4 /dev/$one fs
for cpu in $(seq 0 $((N - 1))); do
	taskset -c $cpu sh -c "cat fs/one fs/one >fs/second$cpu; sync" &
done
wait
for cpu in $(seq 0 $((N - 1))); do
	equal "$boot: checksum of what processor $cpu wrote" "$(cat fs/one fs/one | sum)" "$(sum <fs/second$cpu)"
done
umount fs
write $two last
END
	hear "$name" LOADING
	for round in 1 2; do
		load_goes_on "$name" "before stop $round"
		check "$name: stop $round" qmp "$name" stop
		check "$name: continue $round" qmp "$name" cont
		load_goes_on "$name" "after stop $round"
	done
	hear "$name" PLUG
	ctl "$n" lun-add lun=9:0 file="$tmp/new$n.img" size=1M
	hear "$name" PLUGGED
	ctl "$n" lun-remove lun=9:0
	ctl "$n" resize lun=255:16383 size=12M
	say "$name" end
	end_qemu_guest "$name"
	check "$name, host: fsck of the first image" fsck.ext4 -f -n "$one"
	check "$name, host: fsck of the second image" fsck.ext4 -f -n "$two"
	equal "$name, host: a file of the first image" "$(pattern "one $n" $bytes | sum)" "$(sum_in_image "$one" /one)"
	equal "$name, host: a file of the second image" "$(pattern "last $n" $bytes | sum)" "$(sum_in_image "$two" /last)"
	check "$name, host: each block of the load is whole" "$top_builddir/tests/interop/load" check "$three" $load_bytes
	equal "$name, host: MiB which discard left" 4 "$(taken "$four")"
	stop_daemon "scsi$n"
}

on_reboot=reset
make_cd
test_queues 2
finish
