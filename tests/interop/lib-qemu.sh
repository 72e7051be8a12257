# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU as front-end: vhost-user-blk-pci under software emulation, and a small Linux guest to drive
# it.

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

# For tests which give QEMU commands, see qmp below.
need_qmp()
{
	need python3 python3-minimal
}

# The device which the guest has, and its driver; a test may take another one.
guest_device=vhost-user-blk-pci
guest_driver=virtio_blk

# Programs for the guest, beside busybox; a test may add some.
guest_programs=(mkfs.ext4 fsck.ext4 "$top_builddir/tests/interop/load")

# make_initrd: busybox, the programs and the modules for a virtio disk; without a program to start.
make_initrd()
{
	local root=$tmp/initrd program file modules=()

	mkdir -p "$root"/{bin,dev,proc,sys,mnt,modules}
	cp "$(command -v busybox)" "$root/bin/"
	for program in "${guest_programs[@]}"; do
		cp -L "$(command -v "$program")" "$root/bin/"
		for file in $(ldd "$root/bin/${program##*/}" | grep -o '/[^ ]*'); do
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

# What a test may set before it starts a guest: more arguments, the memory in MiB, KiB in addition,
# and more about it, properties of the disk and of its socket, more of the kernel's command line,
# and whether the guest may reboot (reset).  To others a reboot is the end, as a panic is.
qemu_args=()
memory=256
memory_rest=0
memory_properties=
disk_properties=
socket_properties=
kernel_args=
on_reboot=shutdown

# set_device_args DAEMON: what QEMU needs for the device, in device_args; a test may have another one.
set_device_args()
{
	device_args=(-chardev "socket,id=c0,path=$tmp/$1.sock$socket_properties"
		-device "$guest_device,chardev=c0$disk_properties")
}

declare -A keyboards=()

# kernel_log_of NAME
kernel_log_of()
{
	local log

	log=$(log_of "$1")
	echo "${log%.log}.kernel"
}

# qemu NAME DAEMON ARG...: start QEMU with the daemon's device; the first serial port's output goes
# to the guest's log, and the second one's, where its kernel writes, to another.
qemu()
{
	local name=$1 files log kernel_log keyboard device_args smp=() size=$((memory * 1024 + memory_rest))

	files=$(files_of "$1") log=$(log_of "$1") kernel_log=$(kernel_log_of "$1")
	set_device_args "$2"
	shift 2
	mkfifo "$files.keyboard"
	exec {keyboard}<>"$files.keyboard"
	keyboards[$name]=$keyboard
	# A guest which can have one processor only is emulated without memory barriers, which its
	# driver and a device in another process need: then an interrupt is lost now and then.
	[[ " ${qemu_args[*]} " == *" -smp "* ]] || smp=(-smp 1,maxcpus=2)
	timeout -k 5 "${guest_deadline:-900}" qemu-system-x86_64 -accel tcg,thread=multi "${smp[@]}" \
		-m "${size}K$memory_properties" -numa node,memdev=m \
		-object "memory-backend-memfd,id=m,size=${size}K,share=on" \
		-display none -nodefaults -action reboot=$on_reboot \
		-chardev stdio,id=tty,signal=off -serial chardev:tty \
		-chardev "file,id=kernel,path=$kernel_log,append=on" -serial chardev:kernel \
		-qmp "unix:$files.qmp,server=on,wait=off" \
		"${qemu_args[@]}" "${device_args[@]}" "$@" <&"$keyboard" >>"$log" 2>&1 &
	pids["guest $name"]=$!
}

# say NAME LINE: write to a guest's serial port.
say()
{
	echo "$2" >&"${keyboards[$1]}"
}

# qmp NAME ARG...: give a guest's QEMU commands; see the program.
qmp()
{
	gone "${pids["guest $1"]}" && echo "QEMU is gone" >&2 && return 1
	"$interop/qmp" "$(files_of "$1").qmp" "${@:2}"
}

# Where a guest's processors are, when it hangs.
describe_guest()
{
	local name=$1

	set -- human-monitor-command command-line="info registers -a"
	qmp "$name" query-status
	{ qmp "$name" "$@" && qmp "$name" "$@"; } | sed 's/\\r\\n/\n/g' | grep -E '^.?CPU#|IP='
}

# hear NAME LINE: a row which is ok when a guest has printed such a line.
hear()
{
	await "$1" 240 said_or_gone "$@" && said "$@"
	row $? "$1: it says $2"
}

# How often the guest's load has said that it has made more requests than before, see load.c.
load_progress()
{
	awk '/^load: [0-9]+ requests\r?$/ { n += $2 > last; last = $2 } END { print n + 0 }' "$(log_of "$1")"
}

load_went_on()
{
	[ "$(load_progress "$1")" -gt "$2" ]
}

load_went_on_or_gone()
{
	load_went_on "$@" || gone "${pids["guest $1"]}"
}

# load_goes_on NAME WHEN: a row which is ok when the guest's load has made requests since now.
load_goes_on()
{
	local before

	# The line which is next may be about what was before.
	before=$(($(load_progress "$1") + 1))
	await "$1" 240 load_went_on_or_gone "$1" "$before" && load_went_on "$1" "$before"
	row $? "$1: the load goes on, $2"
}

# start_qemu_guest NAME DAEMON [VAR=VALUE...] <COMMANDS: run the commands in a Linux guest.
start_qemu_guest()
{
	local name=$1 disk=$2 files

	files=$(files_of "$1")
	shift 2
	[ -e "$tmp/initrd.cpio" ] || make_initrd
	mkdir "$files.init"
	guest_script "/bin/busybox sh" TTY=/dev/ttyS0 MODULES="$guest_modules" "$@" >"$files.init/init"
	chmod +x "$files.init/init"
	# The kernel takes several archives one after the other.
	{ cat "$tmp/initrd.cpio" && cpio_of "$files.init"; } >"$files.initrd"
	boot_args=(-kernel "$guest_kernel/vmlinuz" -initrd "$files.initrd"
		-append "console=ttyS1 panic=-1 oops=panic loglevel=7 no_timer_check $kernel_args")
	qemu "$name" "$disk" "${boot_args[@]}"
}

# end_qemu_guest NAME: wait until it is off, and print its rows.
end_qemu_guest()
{
	end_guest "$1"
	exec {keyboards[$1]}>&-
	guest_rows "$1"
}

# qemu_guest NAME DAEMON [VAR=VALUE...] <COMMANDS: both.
qemu_guest()
{
	start_qemu_guest "$@"
	end_qemu_guest "$1"
}
