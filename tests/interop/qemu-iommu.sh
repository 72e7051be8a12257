#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A disk behind a virtual IOMMU: every address is translated, and translations are taken back all
# the time.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
need_qmp
bytes=$((16 << 20))

# test_iommu FORMAT PACKED STRICT ARG...: PACKED and STRICT are 1 or 0; STRICT means that the
# guest takes each translation back when its request is done, and not many at once.
test_iommu()
{
	local name="$1 ring, strict=$3" disk=$1-$3

	disk_properties=,num-queues=2,iommu_platform=on,ats=on,bus=port0,packed=$([ "$2" = 0 ] && echo off || echo on)
	kernel_args="intel_iommu=on iommu.strict=$3"
	image "$disk" 64M
	start_daemon "$disk" --blk-file="$image" --num-queues=2 --iommu --log-level=debug "${@:4}"
	start_qemu_guest "$name" "$disk" BYTES=$bytes PACKED="$2" <<'END'
cd /mnt || exit
equal "ring format" $PACKED "$(packed)"
equal "VIRTIO_F_ACCESS_PLATFORM" 1 "$(cut -c34 /sys/block/vda/device/features)"
check "an IOMMU for the disk" [ -e "$(readlink -f /sys/block/vda/device)/../iommu_group" ]
check "mkfs.ext4" mkfs.ext4 -q /dev/vda 65000k
check "mount" mount -t ext4 /dev/vda fs || exit
pattern first 1000000 >fs/first
check "unmount" umount fs
check "fsck" fsck.ext4 -f -n /dev/vda
check "mount again" mount -t ext4 /dev/vda fs || exit
equal "checksum" "$(pattern first 1000000 | sum)" "$(sum <fs/first)"
check "unmount again" umount fs
start_load $BYTES 16
echo "LOADING"
read -r line
end_load "load"
driver=/sys/bus/virtio/drivers/virtio_blk
device=$(basename $driver/virtio*)
check "unbind the driver" sh -c "echo $device >$driver/unbind"
check "bind the driver" sh -c "echo $device >$driver/bind"
check "no torn block" load check /dev/vda $BYTES
END
	hear "$name" LOADING
	load_goes_on "$name" "at first"
	check "$name: stop and continue" qmp "$name" stop , cont , stop , cont
	load_goes_on "$name" "after stop and continue"
	say "$name" end
	end_qemu_guest "$name"
	check "$name, host: each block in the image is whole" \
		"$top_builddir/tests/interop/load" check "$image" $bytes
	[ "$(messages "$disk" IOTLB_MSG)" -ge 100 ]
	row $? "$name: QEMU sent translations"
	stop_daemon "$disk"
}

# The IOMMU comes before what is behind it.  The port makes the disk a PCI Express device, which
# is what it must be to have ATS; and without ATS this QEMU does not tell when translations end.
qemu_args=(-smp 2 -machine q35 -device intel-iommu,intremap=on,device-iotlb=on -device pcie-root-port,id=port0)
test_iommu split 0 0
test_iommu packed 1 1 --threads=2
finish
