#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Passthrough: in a User-mode Linux, whose scsi_debug has SCSI devices, vhost-user-scsi passes them
# to a driver there (pass.c).

. "$(dirname "$0")/lib-uml.sh"

uml_drivers="sd_mod sg"
uml_memory=320M

uml_guest "guest" "" DAEMON="$top_builddir/scsi/vhost-user-scsi" PASS="$top_builddir/tests/interop/pass" \
	DEBUG="$(module_files "$uml_modules" scsi_debug | tr '\n' ' ')" <<'END'
devices=/sys/bus/scsi/devices
for module in $DEBUG; do
	case $module in
	*/scsi_debug.ko) insmod "$module" dev_size_mb=8 max_luns=2 lbpu=1 ndelay=100000 ;;
	*) insmod "$module" 2>/dev/null ;;
	esac
done

# of UNIT: its folder in sysfs.
of()
{
	echo $devices/*:0:0:$1
}
check "scsi_debug has two units" wait_for sh -c "ls $devices/*:0:0:0/scsi_generic $devices/*:0:0:1/scsi_generic" || exit
for unit in 0 1; do
	eval "sg$unit=/dev/$(ls $(of $unit)/scsi_generic)"
done

# state: R, if it runs; S, if it sleeps.
state()
{
	sed 's/.*) //; s/ .*//' /proc/$daemon/stat
}

asleep()
{
	[ "$(state)" = S ]
}

"$DAEMON" --socket-path=/mnt/socket --lun=0,passthrough=$sg0 --lun=1,passthrough=$sg1,timeout=1 --threads=1 \
	--num-queues=1 >/mnt/log 2>&1 &
daemon=$!
timeout 300 "$PASS" /mnt/socket "$(of 1)" 2>&1
check "the driver's status" [ $? -eq 0 ]
check "the daemon sleeps, although a device is gone" wait_for asleep
kill $daemon
wait $daemon
equal "the daemon's exit status on SIGTERM" 0 $?
cat /mnt/log
dmesg | tail -n 20
END
finish
