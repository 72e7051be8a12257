#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Under a verified load the guest is stopped and continued many times, then reset by QEMU, then by
# itself.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
need_qmp
bytes=$((16 << 20))

# stop_and_continue NAME TIMES: twice at once, so many times.
stop_and_continue()
{
	local i

	for i in $(seq "$2"); do
		qmp "$1" stop , cont , stop , cont || return
	done
}

# test_stop FORMAT PACKED ARG...: PACKED is 1 or 0.
test_stop()
{
	local name="$1 ring"

	disk_properties=,num-queues=2,queue-size=1024,packed=$([ "$2" = 0 ] && echo off || echo on)
	image "$1" 64M
	start_daemon "$1" --blk-file="$image" --num-queues=2 "${@:3}"
	start_qemu_guest "$name" "$1" BYTES=$bytes PACKED="$2" <<'END'
boots=$(dd if=/dev/vda bs=512 skip=131071 2>/dev/null | head -c 1 | tr '\0' 0)
[ "$boots" = 0 ] || check "boot $boots: no torn block" load check /dev/vda $BYTES || exit
check "boot $boots: count it" sh -c "echo $((boots + 1)) | dd of=/dev/vda bs=512 seek=131071 conv=sync,fsync"
equal "boot $boots: ring format" $PACKED "$(packed)"
if [ "$boots" = 0 ]; then
	# With one request in each of the two queues, an interrupt which gets lost is the end of the load.
	start_load $BYTES 2
	echo "FEW"
	read -r line
	end_load "load with one request in each queue"
fi
start_load $BYTES 16
echo "BOOT $boots"
read -r line
if [ "$boots" = 1 ]; then
	# With requests at work.
	exec busybox reboot -f
fi
end_load "boot $boots: load"
END
	hear "$name" FEW
	load_goes_on "$name" "one request in each queue"
	check "$name: stop and continue" stop_and_continue "$name" 15
	load_goes_on "$name" "after that"
	say "$name" next
	hear "$name" "BOOT 0"
	load_goes_on "$name" "many requests"
	check "$name: stop and continue" stop_and_continue "$name" 15
	load_goes_on "$name" "after that"
	check "$name: system_reset" qmp "$name" system_reset
	hear "$name" "BOOT 1"
	load_goes_on "$name" "second boot"
	say "$name" reboot
	hear "$name" "BOOT 2"
	load_goes_on "$name" "third boot"
	check "$name: stop and continue after resets" stop_and_continue "$name" 5
	load_goes_on "$name" "after that"
	say "$name" end
	end_qemu_guest "$name"
	check "$name, host: each block in the image is whole" \
		"$top_builddir/tests/interop/load" check "$image" $bytes
	stop_daemon "$1"
}

on_reboot=reset
qemu_args=(-smp 2)
test_stop split 0
test_stop packed 1 --threads=2
finish
