# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# The beginning of every guest's init script: mounts, kernel modules, and results on the console.
#
# It runs as process 1 in User-mode Linux (with the host's programs) and in QEMU's guests (with
# busybox). The host's part has put variables before it: MODULES, the files to load, TTY, if that is
# not the kernel's console, and what the test wants known. A line "RESULT 0 name" or "RESULT 1 name"
# on the console becomes a TAP row of the test.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/mnt LC_ALL=C

power_off()
{
	busybox poweroff -f
}
trap power_off EXIT

guest_done()
{
	echo DONE
	exit 0
}

# check NAME COMMAND...: ok if the command succeeds; its output is shown if not.
check()
{
	name=$1
	shift
	if "$@" >/mnt/out 2>&1 </dev/null; then
		echo "RESULT 0 $name"
		return 0
	fi
	echo "RESULT 1 $name"
	echo "failed: $*"
	cat /mnt/out
	dmesg -c | tail -n 15
	return 1
}

# refused NAME COMMAND...: ok if the command fails.
refused()
{
	name=$1
	shift
	check "$name" not "$@"
}

not()
{
	! "$@"
}

# equal NAME WANTED FOUND
equal()
{
	check "$1" same "$2" "$3"
}

same()
{
	[ "$1" = "$2" ] && return
	printf 'wanted: %s\nfound:  %s\n' "$1" "$2"
	return 1
}

# wait_for COMMAND...: until it succeeds, a minute at most.
wait_for()
{
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || return 1
		sleep 0.1
	done
}

# 1: the driver of the disk uses packed rings, 0: split ones.
packed()
{
	cut -c35 /sys/block/vda/device/features
}

# The verified load of load.c: start_load BYTES THREADS [FILE], end_load NAME.
start_load()
{
	load run "${3:-/dev/vda}" "$1" "$2" &
	load_pid=$!
}

end_load()
{
	kill $load_pid
	check "$1" wait $load_pid
}

# In an initramfs there is nothing but busybox.
[ -e /bin/ls ] || /bin/busybox --install -s /bin
mount -t tmpfs tmpfs /mnt
mkdir /mnt/fs
mount -t proc proc /proc
mount -t sysfs sysfs /sys
grep -q ' /dev ' /proc/mounts || mount -t devtmpfs dev /dev
[ -z "${TTY:-}" ] || exec <$TTY >$TTY 2>&1
for module in $MODULES; do
	insmod "$module" || echo "cannot load $module"
done

