#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The whole way of a disk in production: a service manager has the socket and starts the daemon
# when QEMU connects; under a guest's verified load the daemon is killed again and again, and the
# next one goes on, with the same socket and what was in flight.
#
# QEMU 7.2 reconnects after whole seconds, so a daemon is killed when the load has gone on: about
# once in two seconds. LIBVHOST_LONG makes that 60 kills; else there are fewer.
#
# There is no such test with User-mode Linux: when its connection ends, virtio_uml removes the
# device, and does not connect again.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
need_qmp
need systemd-socket-activate systemd
kills=${LIBVHOST_LONG:+60}
kills=${kills:-5}
bytes=$((16 << 20))
socket_properties=,reconnect=1
qemu_args=(-smp 2)

# What a service manager does for a unit with Restart=on-failure: with the listening socket as file
# descriptor 7, it waits for somebody to connect, starts the daemon, and begins anew when that has
# failed.  keep_activated NAME COMMAND...: the daemon's pid is in NAME.pid, and how each one ended in
# NAME.ends.
keep_activated()
{
	local name=$1 pid= status=1 ending=

	shift
	trap 'ending=yes; kill "$pid"' TERM
	until [ $status -eq 0 ] || [ "$ending" ]; do
		(
			export LISTEN_PID=$BASHPID LISTEN_FDS=1
			exec 3<&7 7<&-
			exec systemd-socket-activate -E NOTIFY_SOCKET -E WATCHDOG_USEC "$@"
		) &
		pid=$!
		echo $pid >"$name.pid"
		# A signal ends the waiting, too.
		until wait $pid; status=$?; ! kill -0 $pid; do :; done 2>/dev/null
		echo $status >>"$name.ends"
	done
}

# start_kept NAME ARG...: the socket is there, and no daemon yet.
start_kept()
{
	local name=$1

	shift
	"$top_builddir/tests/daemon/notified" "$tmp/$name.notify" >"$tmp/$name.told" 2>&1 &
	pids[$name.manager]=$!
	wait_until 30 told "$name" listening
	row $? "$name: a service manager listens"
	NOTIFY_SOCKET=$tmp/$name.notify WATCHDOG_USEC=1000000 \
		"$top_builddir/tests/daemon/give_fd" listening "$tmp/$name.sock" "$BASH" -c \
		"$(declare -f keep_activated); keep_activated \"\$@\"" sh "$tmp/$name" \
		"$daemon" --blk-file="$image" --num-queues=2 --log-level=debug "$@" >>"$tmp/$name.log" 2>&1 &
	pids[$name]=$!
	wait_until 30 [ -s "$tmp/$name.pid" ] && wait_until 30 is_command "$name" systemd-socket
	row $? "$name: the socket waits, without a daemon"
}

# told NAME LINE: the service manager has been.
told()
{
	grep -qFx -- "$2" "$tmp/$1.told"
}

# How often it was.
times_told()
{
	grep -cFx -- "$2" "$tmp/$1.told"
}

# served_by NAME LIVES: so many daemons have had QEMU as their front-end.
served_by()
{
	[ "$(times_told "$1" "STATUS=front-end connected; 2 queues of up to 1024 entries")" -eq "$2" ]
}

# is_command NAME COMMAND: what waits at the socket, or serves it; a name has 15 bytes.
is_command()
{
	[[ "$(cat "/proc/$(cat "$tmp/$1.pid")/comm")" == "$2"* ]]
}

kill_kept()
{
	is_command "$1" vhost-user-blk && kill -9 "$(cat "$tmp/$1.pid")"
}

# quiet_kernel NAME: the guest's kernel has nothing to complain of, once it has started.
quiet_kernel()
{
	! tr -d '\r' <"$(kernel_log_of "$1")" | sed '1,/ Run .*init as init process$/d' |
		grep -iE 'error|fail|not a head|hung|blocked for|timed out|timeout|warning|bug|call trace'
}

# walk NAME PACKED FILESYSTEM ARG...: the load is on the whole disk or in a file on it.
walk()
{
	local name="$1 walk" disk=$1 packed=$2 filesystem=$3 round start

	shift 3
	disk_properties=,num-queues=2,queue-size=256,packed=$([ "$packed" = 0 ] && echo off || echo on)
	image "$disk" 64M
	start_kept "$disk" "$@"
	start_qemu_guest "$name" "$disk" BYTES=$bytes PACKED="$packed" FILESYSTEM="$filesystem" <<'END'
equal "ring format" $PACKED "$(packed)"
place=/dev/vda
if [ "$FILESYSTEM" = yes ]; then
	check "mkfs.ext4" mkfs.ext4 -q /dev/vda
	check "mount" mount -t ext4 /dev/vda /mnt/fs
	place=/mnt/fs/file
	: >$place
fi
start_load $BYTES 32 $place
echo LOADING
read -r line
end_load "load"
if [ "$FILESYSTEM" = yes ]; then
	check "unmount" umount /mnt/fs
	check "fsck" fsck.ext4 -f -n /dev/vda
fi
END
	hear "$name" LOADING
	load_goes_on "$name" "before the first kill"
	start=$SECONDS
	for round in $(seq "$kills"); do
		check "$disk: kill $round" kill_kept "$disk"
		# What the load says next may still be about what was before.
		await "$name" 60 served_by "$disk" $((round + 1))
		row $? "$disk: it is served again"
		load_goes_on "$name" "after kill $round" || break
	done
	echo "# $kills kills in $((SECONDS - start)) s"
	say "$name" end
	end_qemu_guest "$name"
	check "$name: no error in the guest" quiet_kernel "$name"
	[ "$filesystem" = yes ] || check "$name, host: each block in the image is whole" \
		"$top_builddir/tests/interop/load" check "$image" $bytes
	end_kept "$disk"
}

# end_kept NAME: each daemon has said what it should, and ended as it should.
end_kept()
{
	local name=$1 lives=$((kills + 1))

	equal "$name: each daemon said that it was ready" $lives \
		"$(times_told "$name" "READY=1|STATUS=waiting for a front-end")"
	check "$name: and that QEMU was there" served_by "$name" $lives
	check "$name: QEMU kept what is in flight" \
		[ "$(messages "$name" SET_INFLIGHT_FD)" -ge $lives ]
	kill "${pids[$name]}"
	check "$name: the end" end_process "$name"
	equal "$name: no daemon ended but by what the test did" "$kills x 137, 1 x 0" \
		"$(uniq -c "$tmp/$name.ends" | awk '{ printf "%s%d x %d", sep, $1, $2; sep = ", " }')"
	check "$name: the socket outlived them all" [ -S "$tmp/$name.sock" ]
	kill "${pids[$name.manager]}"
	unset "pids[$name.manager]"
}

walk split 0 no
walk packed 1 yes --threads=2
finish
