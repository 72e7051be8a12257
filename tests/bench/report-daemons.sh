# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Section of tests/bench/report: what a daemon costs while nothing is asked of it.

# How often the threads of a process have been on a processor so far.
wakeups()
{
	awk '/ctxt_switches/ { n += $2 } END { print n + 0 }' /proc/"$1"/task/*/status
}

# Anonymous memory and pages of files, without the guest's memory, in MiB.
own_memory()
{
	awk '/^RssAnon|^RssFile/ { n += $2 } END { printf "%.2f\n", n / 1024 }' "/proc/$1/status"
}

# idle TYPE: the daemon serves a guest which has worked, and then stands still; its connection and
# rings stay.
idle()
{
	local socket=$work/idle.sock driver before i

	taskset -c 1 "${command[@]//\{\}/"$socket"}" 2>"$work/idle.log" &
	pids=($!)
	wait_for "$socket" $!
	"$bench" "$1" --time=600 "$socket" >/dev/null 2>&1 &
	driver=$!
	pids+=($driver)
	# As soon as it has used up some CPU time, there is load.
	for ((i = 0; i < 300; i++)); do
		[[ $(awk '{ print ($14 + $15 > 20) }' "/proc/$driver/stat" 2>/dev/null) == 1 ]] && break
		sleep 0.1
	done
	kill -STOP $driver
	sleep 0.5
	before=$(wakeups "${pids[0]}")
	sleep "$idle_s"
	idle_wakeups=$(($(wakeups "${pids[0]}") - before))
	idle_memory=$(own_memory "${pids[0]}")
	end_all
}

# daemon NAME TYPE: the rows of command=().
daemon_rows()
{
	work_text=$1 against=-
	echo "report: $section: $1" >&2
	say_command "${command[@]}"
	idle "$2"
	absolute "wake-ups" most 0 <<<"$idle_wakeups"
	absolute "own-MiB" most 6 <<<"$idle_memory"
	"$ready" $((rounds * 3)) "${command[@]}" 2>/dev/null | absolute "ms-to-ready" most 20
}

section_daemons()
{
	image "$shm"
	blk_command --blk-file="$image"
	daemon_rows vhost-user-blk blk
	need "$scsi" "build it, or set VHOST_USER_SCSI"
	command=("$scsi" --socket-path={} --lun="0,file=$image")
	daemon_rows vhost-user-scsi scsi
	net_command --port=null
	[[ $missing_root ]] || net_command --tap=report0 --up
	daemon_rows vhost-user-net net
}
