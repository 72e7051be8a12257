# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU as front-end: vhost-user-blk-pci under software emulation, and a small Linux guest to drive it.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need qemu-system-x86_64 qemu-system-x86
need debugfs e2fsprogs

guest_kernel=${LIBVHOST_GUEST_KERNEL_DIR:-$top_builddir/tests/interop/kernel}

# For tests which boot Linux, not only firmware.
need_guest_kernel()
{
	need busybox busybox-static
	need cpio cpio
	need xz xz-utils
	[ -e "$guest_kernel/vmlinuz" ] || skip_all "no guest kernel; get it with scripts/guest-kernel $guest_kernel"
}

# The device which the guest has, and its driver; a test may take another one.
guest_device=vhost-user-blk-pci
guest_driver=virtio_blk

# make_initrd: busybox, the tools of ext4 and the modules for a virtio disk; without a program to start.
make_initrd()
{
	local root=$tmp/initrd program file modules=()

	mkdir -p "$root"/{bin,dev,proc,sys,mnt,modules}
	cp "$(command -v busybox)" "$root/bin/"
	for program in mkfs.ext4 fsck.ext4; do
		cp -L "$(command -v $program)" "$root/bin/"
		for file in $(ldd "$root/bin/$program" | grep -o '/[^ ]*'); do
			mkdir -p "$root${file%/*}"
			cp -L "$file" "$root$file"
		done
	done
	for file in $(module_files "$guest_kernel/modules" virtio_pci "$guest_driver"); do
		case $file in
		*.xz) xz -dc "$file" >"$root/modules/$(basename "$file" .xz)" ;;
		*) cp "$file" "$root/modules/" ;;
		esac
		modules+=("/modules/$(basename "$file" .xz)")
	done
	guest_modules=${modules[*]}
	cpio_of "$root" >"$tmp/initrd.cpio"
}

cpio_of()
{
	(cd "$1" && find . | cpio -o -H newc --quiet)
}

# What a test may set before it starts a guest: more arguments, properties of the disk and of its socket.
qemu_args=()
disk_properties=
socket_properties=

# qemu NAME DAEMON ARG...: start QEMU with the daemon's disk; the serial port's output goes to a log.
# What is written to the file descriptor $keyboard goes to the serial port.
qemu()
{
	local name=$1 files=$tmp/guest-${1//[^a-z0-9]/-} disk=$2

	shift 2
	: >"$files.log"
	mkfifo "$files.keyboard"
	exec {keyboard}<>"$files.keyboard"
	timeout -k 5 "${guest_deadline:-180}" qemu-system-x86_64 -accel tcg,thread=multi \
		-m 256 -object memory-backend-memfd,id=m,size=256M,share=on -numa node,memdev=m \
		-display none -nodefaults -chardev stdio,id=tty,signal=off -serial chardev:tty \
		-chardev "socket,id=c0,path=$tmp/$disk.sock$socket_properties" \
		-device "$guest_device,chardev=c0$disk_properties" \
		"${qemu_args[@]}" "$@" <&"$keyboard" >"$files.log" 2>&1 &
	pids["guest $name"]=$!
}

# start_qemu_guest NAME DAEMON [VAR=VALUE...] <COMMANDS: run the commands in a Linux guest.
start_qemu_guest()
{
	local name=$1 disk=$2 files=$tmp/guest-${1//[^a-z0-9]/-}

	shift 2
	[ -e "$tmp/initrd.cpio" ] || make_initrd
	mkdir "$files.init"
	guest_script "/bin/busybox sh" MODULES="$guest_modules" "$@" >"$files.init/init"
	chmod +x "$files.init/init"
	# The kernel takes several archives one after the other.
	{ cat "$tmp/initrd.cpio" && cpio_of "$files.init"; } >"$files.initrd"
	qemu "$name" "$disk" -kernel "$guest_kernel/vmlinuz" -initrd "$files.initrd" \
		-append "console=ttyS0 panic=-1 loglevel=1"
}

# end_qemu_guest NAME: wait until it is off, and print its rows.
end_qemu_guest()
{
	end_guest "guest $1"
	exec {keyboard}>&-
	guest_rows "$1" "$tmp/guest-${1//[^a-z0-9]/-}.log"
}

# qemu_guest NAME DAEMON [VAR=VALUE...] <COMMANDS: both.
qemu_guest()
{
	start_qemu_guest "$@"
	end_qemu_guest "$1"
}
