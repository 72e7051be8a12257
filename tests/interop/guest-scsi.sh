# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# For guests with a SCSI host adapter: how units are found.

scsi_devices=/sys/bus/scsi/devices

# disk TARGET:LUN: the name of its disk, when it has been found. Linux takes the whole address for
# the number: from 256 on, 0x4000 says how it is meant.
disk()
{
	unit=$1
	[ "${1#*:}" -lt 256 ] || unit=${1%:*}:$((0x4000 + ${1#*:}))
	wait_for sh -c "ls -d $scsi_devices/*:0:$unit/block/* >/dev/null 2>&1"
	ls "$scsi_devices/"*":0:$unit/block"
}

# 1: the driver of the adapter uses packed rings, 0: split ones.
scsi_packed()
{
	cut -c35 /sys/bus/virtio/drivers/virtio_scsi/virtio*/features
}

# Whether there is such a unit.
unit_is_there()
{
	ls -d $scsi_devices/*:0:$1 >/dev/null 2>&1
}

# size_is DISK SECTORS
size_is()
{
	[ "$(cat /sys/block/$1/size)" = "$2" ]
}
