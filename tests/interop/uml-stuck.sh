#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# An image's file system does not answer: its unit waits, is reset and aborted by the guest's error
# handler, and goes on afterwards; other units do not notice.
#
# The image is a file which qemu-storage-daemon serves by FUSE, and that is stopped.  Linux's driver
# trusts its host to answer each request, and never aborts one for its age; so there are two guests:
# one as it is, where sg_reset resets the unit, and one whose driver lets the error handler do its
# work, as those of other systems do.

. "$(dirname "$0")/lib-uml.sh"

need qemu-storage-daemon qemu-utils
need sg_reset sg3-utils
need nm binutils
need python3 python3-minimal
daemon=$top_builddir/scsi/vhost-user-scsi
uml_type=8
uml_drivers="virtio_scsi sd_mod sg"
guest_libs+=("$interop/guest-scsi.sh")

# Serve $tmp/NAME.img as $tmp/NAME.fuse.
start_fuse()
{
	: >"$tmp/$1.fuse"
	qemu-storage-daemon --blockdev driver=file,node-name=f,filename="$tmp/$1.img" \
		--export type=fuse,id=e,node-name=f,mountpoint="$tmp/$1.fuse",writable=on >"$tmp/$1-fuse.log" 2>&1 &
	pids[$1 fuse]=$!
	wait_until 30 fuse_or_gone "$1"
	mounted "$1" || skip_all "qemu-storage-daemon cannot serve a file by FUSE: $(head -n 1 "$tmp/$1-fuse.log")"
}

mounted()
{
	grep -q " $tmp/$1.fuse fuse" /proc/self/mounts
}

fuse_or_gone()
{
	mounted "$1" || gone "${pids["$1 fuse"]}"
}

# One which is stopped cannot end.
end_fuse()
{
	kill -CONT "${pids["$1 fuse"]}"
	kill "${pids["$1 fuse"]}"
	end_process "$1 fuse"
	check "$1: the file system is gone" wait_until 30 not_mounted "$1"
}

not_mounted()
{
	! mounted "$1"
}

# A driver whose timeouts are for the error handler: its function which says "look again later" (1)
# is made to say "not done" (0).
impatient_driver()
{
	local folder=$tmp/modules

	cp -r "$uml_modules" "$folder"
	python3 - "$folder/kernel/drivers/scsi/virtio_scsi.ko" <<'END' && uml_modules=$folder
import subprocess
import sys

path = sys.argv[1]
symbol = subprocess.check_output(["nm", path], text=True)
at = [int(line.split()[0], 16) for line in symbol.splitlines() if line.endswith(" virtscsi_eh_timed_out")]
sections = subprocess.check_output(["readelf", "-SW", path], text=True)
text = [line.split("]")[1].split() for line in sections.splitlines() if "] .text " in line]
start = int(text[0][3], 16) + at[0]
with open(path, "r+b") as file:
    code = file.read()
    mov = code.index(b"\xb8\x01\x00\x00\x00", start, start + 32)
    file.seek(mov + 1)
    file.write(b"\x00")
END
}

# test_stuck NAME HOW: HOW is reset, or abort.
test_stuck()
{
	local name=$1

	pattern "$name" $((8 << 20)) >"$tmp/$name.img"
	image "$name-other" 64M
	start_fuse "$name"
	start_daemon "$name-scsi" --lun=0,file="$tmp/$name.fuse",locking=off,cache=none --lun=1,file="$image" --threads=1
	start_uml_guest "$name" "$name-scsi" NAME="$name" STOPPED="$tmp/$name.stopped" RESUMED="$tmp/$name.resumed" HOW="$2" <<'END'
cd /mnt || exit
stuck=$(disk 0:0) other=$(disk 0:1)
# Seconds.  Linux gives a request up which has taken six times as long.
echo 4 >/sys/block/$stuck/device/timeout

# part DISK MIB: one MiB of it.
part()
{
	dd if=/dev/$1 bs=1M skip=$2 count=1 iflag=direct status=none
}

wanted()
{
	pattern "$NAME" 8388608 | tail -c +$(($1 * 1048576 + 1)) | head -c 1048576 | sum
}

# use SECONDS: the other disk.
use()
{
	until=$(($(cut -d. -f1 /proc/uptime) + $1 + 1))
	while [ $(cut -d. -f1 /proc/uptime) -lt $until ]; do
		part $other 3 >/dev/null || return
	done
}

# The error handler has asked for the request to be aborted, and is told when that is done.
recovering()
{
	dmesg | grep -q 'abort'
}

equal "a read" "$(wanted 0)" "$(part $stuck 0 | sum)"
echo "READY"
check "the host has stopped it" wait_for [ -e "$STOPPED" ] || exit
# What the host's kernel knows of the file is too old then, after a second: it asks for that, too.
sleep 2
part $stuck 1 >one &
reader=$!
if [ $HOW = reset ]; then
	check "another unit is used for longer than the request's time" use 5
	check "the reader still waits" kill -0 $reader
	sg_reset --device /dev/$stuck &
	reset=$!
	# From then on the other unit of this host has to wait, too: so is Linux.
	check "the reset waits for what the host has" kill -0 $reset
else
	# From then on the other unit of this host has to wait, too: so is Linux.
	check "the error handler is at work" wait_for recovering
	check "the reader still waits" kill -0 $reader
fi
echo "STUCK"
check "the host has resumed it" wait_for [ -e "$RESUMED" ] || exit
[ $HOW = abort ] || check "the reset is done" wait $reset
check "the reader is done" wait $reader
equal "what it has read" "$(wanted 1)" "$(sum <one)"
equal "a later read" "$(wanted 2)" "$(part $stuck 2 | sum)"
check "a later write" dd if=one of=/dev/$stuck bs=1M seek=4 oflag=direct
equal "read it" "$(wanted 1)" "$(part $stuck 4 | sum)"
END
	uml_says "$name" READY
	kill -STOP "${pids["$name fuse"]}"
	: >"$tmp/$name.stopped"
	uml_says "$name" STUCK
	kill -CONT "${pids["$name fuse"]}"
	: >"$tmp/$name.resumed"
	end_uml_guest "$name"
	stop_daemon "$name-scsi"
	end_fuse "$name"
}

test_stuck patient reset
impatient_driver
row $? "a driver which lets the error handler work" && test_stuck impatient abort
finish
