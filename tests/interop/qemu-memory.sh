#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Memory comes to a guest and leaves it while fio and a verified load use it for their requests.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
need_qmp
need fio fio
bytes=$((16 << 20))
guest_programs+=(fio)
memory=384
memory_properties=,slots=4,maxmem=1G


plug()
{
	qmp guest object-add qom-type=memory-backend-memfd id="m$1" size=$((128 << 20)) share=true &&
		qmp guest device_add driver=pc-dimm id="d$1" memdev="m$1"
}

# The guest may refuse to give pages back which are in use for requests just now: ask again.
unplug()
{
	local asked

	for asked in $(seq 20); do
		qmp guest device_del id="d$1" || true
		qmp guest --until "$2=null" --within 3 query-memory-devices && break
	done
	# Also when it was gone already.
	[ "$(qmp guest --get "$2" query-memory-devices)" = null ] && qmp guest object-del id="m$1" &&
		echo "asked $asked times"
}

image disk 64M
start_daemon disk --blk-file="$image" --num-queues=2 --log-level=debug
qemu_args=(-smp 2)
disk_properties=,num-queues=2
# What is plugged in is taken for processes only, so that it can be given back.
kernel_args=memhp_default_state=online_movable
start_qemu_guest guest disk BYTES=$bytes <<'END'
total()
{
	awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo
}

grown()
{
	[ "$(total)" -ge $((before + ($1 << 10))) ]
}

back()
{
	[ "$(total)" -le $((before + 8192)) ]
}

# Pages of processes are in what was plugged in.
used()
{
	awk '/^Node/ { movable = $4 == "Movable" } movable && /nr_zone_(in)?active_anon/ { n += $2 }
		END { exit n < 100 }' /proc/zoneinfo
}

# Verified reads and writes, again and again, in the upper half of the disk.
fio_load()
{
	while [ ! -e /mnt/stop ]; do
		fio --name=both --filename=/dev/vda --offset=32m --size=8m --rw=randrw --bsrange=4k-64k \
			--direct=1 --ioengine=libaio --iodepth=16 --thread --verify=crc32c --verify_fatal=1 \
			--verify_state_save=0 >/mnt/fio 2>&1 || return
		echo "FIO"
	done
}

before=$(total)
start_load $BYTES 8
fio_load &
fio_pid=$!
for round in 1 2; do
	echo "PLUG $round"
	check "round $round: 256 MiB more" wait_for grown 240 || exit
	check "round $round: they are used" wait_for used
	echo "PLUGGED $round"
	read -r line
	check "round $round: they are gone again" wait_for back
	echo "UNPLUGGED $round"
done
read -r line
touch /mnt/stop
check "fio" wait $fio_pid || cat /mnt/fio
end_load "load"
END
hear guest "PLUG 1"
before=$(messages disk ADD_MEM_REG)
for round in 1 2; do
	hear guest "PLUG $round"
	check "round $round: plug a DIMM in" plug 1
	check "round $round: plug another DIMM in" plug 2
	hear guest "PLUGGED $round"
	load_goes_on guest "round $round, with more memory"
	load_goes_on guest "round $round, with more memory"
	# The one which came first leaves first, so that the list of regions gets a hole.
	check "round $round: pull the first DIMM out" unplug 1 1
	load_goes_on guest "round $round, one DIMM pulled out"
	check "round $round: pull the other DIMM out" unplug 2 0
	say guest gone
	hear guest "UNPLUGGED $round"
	load_goes_on guest "round $round, both pulled out"
done
hear guest FIO
say guest end
end_qemu_guest guest
equal "the daemon was told of each DIMM" "4 came, 4 went" \
	"$(($(messages disk ADD_MEM_REG) - before)) came, $(messages disk REM_MEM_REG) went"
check "host: each block in the image is whole" "$top_builddir/tests/interop/load" check "$image" $bytes
stop_daemon disk
finish
