# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What tests/bench/report tells about the machine, and about what it measures.

fact()
{
	[[ ! ${2:-} ]] || emit fact "$1" "$2"
}

# version PROGRAM ARG...: the first line which it prints.
version()
{
	"$@" 2>/dev/null | head -n 1
}

# The file system of a folder.
file_system()
{
	df --output=fstype "$1" | tail -n 1
}

# The commit, with a mark if the tree is another one.
commit()
{
	git -C "$tests_source" describe --always --dirty 2>/dev/null
}

facts()
{
	fact processor "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
	fact cores "$(nproc)"
	fact "virtual machine" "$(systemd-detect-virt --vm 2>/dev/null | grep -v none)"
	fact memory "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
	# Not what a vendor adds.
	fact kernel "$(uname -sr | sed "s/-.*//")"
	fact system "$(. /etc/os-release && echo "$PRETTY_NAME")"
	fact disk "$(file_system "$disk")"
	fact libvhost "$("$blk" --version | head -n 1), commit $(commit)"
	fact compiler "$(version gcc --version), $(sed -n 's/^CFLAGS = //p' "$top_builddir/Makefile")"
	command -v "$qsd" >/dev/null && fact qemu-storage-daemon "$(version "$qsd" --version)"
	command -v "$testpmd" >/dev/null && fact DPDK "$(dpkg-query -W -f '${Version}' dpdk 2>/dev/null)"
	command -v fio >/dev/null && fact fio "$(version fio --version)"
	fact date "$(date -u +%Y-%m-%d)"
	fact rounds "$rounds of $time_ms ms"
	[[ ! $quick ]] || fact quick yes
}
