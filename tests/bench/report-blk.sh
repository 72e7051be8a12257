# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Sections of tests/bench/report: disks.

image_size=256M

# image DIR [FLAG]: an image of real blocks there, in image, written with this flag of dd's.
image()
{
	image=$1/disk.img
	[[ -e $image ]] || dd if=/dev/zero of="$image" bs=1M count="${image_size%M}" conv=fsync \
		${2:+oflag="$2"} status=none || die "no room for $image, or it does not do O_DIRECT"
}

section_blk_null()
{
	local depth ring options

	against="qemu-storage-daemon, null-co"
	peer "$qsd" qemu-utils && qsd_command null-co,size=1073741824,read-zeroes=off
	second=("${command[@]}")
	blk_command --engine=null --size=1G
	first=("${command[@]}")
	for ring in split packed; do
		options=()
		# The peer has split rings only.
		[[ $ring == split ]] || options=(--packed --second-split)
		for depth in 32 128; do
			work_text="null store, 4 KiB, depth $depth, $ring"
			goals=("IOPS least 3" "CPU-ns most 80")
			versus blk --poll --indirect --depth="$depth" "${options[@]}"
		done
	done
}

# disks DRIVER-OPTIONS OPTION...: both on the image, the peer with these and ours with those.
disks()
{
	against=qemu-storage-daemon
	peer "$qsd" qemu-utils && qsd_command "file,filename=$image$1"
	second=("${command[@]}")
	shift
	blk_command --blk-file="$image" "$@"
	first=("${command[@]}")
}

# disk_rows WHERE NAME GOALS-1 GOALS-32 GOALS-128: what is read and written; goals by depth,
# between semicolons.
disk_rows()
{
	local where=$1 name=$2 rw depth

	for rw in randread randwrite; do
		for depth in 1 32 128; do
			case $depth in
			1) IFS=';' read -ra goals <<<"$3" ;;
			32) IFS=';' read -ra goals <<<"$4" ;;
			*) IFS=';' read -ra goals <<<"$5" ;;
			esac
			work_text="$where, $rw 4 KiB, depth $depth"
			versus blk --poll --indirect --rw=$rw --depth=$depth
			[[ $rw == randwrite ]] || plot_point "$name" $depth
		done
	done
}

section_tmpfs()
{
	image "$shm"
	disks ""
	disk_rows "image on tmpfs" tmpfs "IOPS least 5" "IOPS least 3.3" "IOPS least 2.5"
}

section_disk()
{
	image "$disk" direct
	disks ,cache.direct=on,aio=io_uring --cache=none
	disk_rows "image on disk, O_DIRECT" disk "IOPS least 1;CPU most 0.7" \
		"IOPS least 1;CPU most 0.7" "IOPS least 1;CPU most 0.7"
}

# More points of the curves, which are no goals.
section_depths()
{
	local rounds=$(((rounds + 1) / 2)) depth where

	goals=()
	for where in tmpfs disk; do
		if [[ $where == tmpfs ]]; then
			image "$shm"
			disks ""
		else
			image "$disk" direct
			disks ,cache.direct=on,aio=io_uring --cache=none
		fi
		for depth in 4 16 64; do
			work_text="image on $where, randread 4 KiB, depth $depth"
			versus blk --poll --indirect --depth=$depth
			plot_point $where $depth
		done
	done
}

#
# The bare file
#

# Start ours once for all rounds; it costs nothing while the other one has its turn.
serve()
{
	local socket=$work/bare.sock

	blk_command --blk-file="$image" "$@"
	say_command "${command[@]}"
	taskset -c 1 "${command[@]//\{\}/"$socket"}" 2>"$work/bare.log" &
	pids=($!)
	wait_for "$socket" $!
	bare_socket=$socket
}

bare_ours()
{
	taskset -c 0 "$bench" blk --json --poll --indirect --rw="$rw" --depth="$depth" \
		--time-ms="$time_ms" --pid="${pids[0]}" "$bare_socket" |
		jq -r '"\(.per_second) \(.backend_cpu_ns_per_request)"'
}

bare_fio_command()
{
	command=(taskset -c 1 fio --name=bare --filename="$image" --size="$image_size" "${fio_options[@]}"
		--rw="$rw" --bs=4k --norandommap --time_based --runtime="${time_ms}ms" --ramp_time=100ms
		--output-format=json)
}

bare_fio()
{
	bare_fio_command
	"${command[@]}" | sed -n '/^{/,$p' | jq -r '.jobs[0] | (.read.total_ios + .write.total_ios) as $n |
		"\(.read.iops + .write.iops) \((.usr_cpu + .sys_cpu) / 100 * .job_runtime * 1e6 / $n)"'
}

# bare_row WHERE GOAL
bare_row()
{
	work_text="$1, $rw 4 KiB, depth $depth"
	goals=("IOPS least $2")
	if [[ $missing ]]; then
		none "$missing" "${goals[@]}"
		return
	fi
	say_command "$bench" blk --poll --indirect --rw="$rw" --depth="$depth" --time-ms="$time_ms" \
		--pid="${pids[0]}" "$bare_socket"
	bare_fio_command
	say_command "${command[@]}"
	alternate bare_ours bare_fio
}

section_tmpfs_bare()
{
	local rw depth=32

	against="fio psync on the bare file"
	image "$shm"
	peer fio fio && serve
	fio_options=(--ioengine=psync)
	for rw in randread randwrite; do
		bare_row "image on tmpfs" 0.8
	done
	end_all
}

section_disk_bare()
{
	local rw depth goal

	against="fio io_uring on the bare file"
	image "$disk" direct
	peer fio fio && serve --cache=none
	for rw in randread randwrite; do
		for depth in 1 32 128; do
			fio_options=(--ioengine=io_uring --direct=1 --iodepth="$depth")
			goal=0.98
			((depth > 1)) || goal=0.95
			bare_row "image on disk, O_DIRECT" $goal
		done
	done
	end_all
}

# The driver needs a core as well. Two queues in both cases, and the same load.
section_queues()
{
	work_text="two queues on two workers, image on tmpfs, randread 4 KiB, depth 32"
	against="the same on one worker"
	goals=("IOPS least 1.9")
	missing=
	(($(nproc) > 2)) || missing="takes three cores, one for the load and two for workers; here are $(nproc)"
	image "$shm"
	blk_command --blk-file="$image" --num-queues=2 --threads=2
	first=("${command[@]}")
	blk_command --blk-file="$image" --num-queues=2 --threads=1
	second=("${command[@]}")
	versus blk --poll --indirect --queues=2
}
