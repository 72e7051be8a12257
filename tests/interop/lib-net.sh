# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# The network which vhost-user-net gives to guests; to be sourced after lib-uml.sh or lib-qemu.sh.
#
# Everything happens in a network namespace of the test's own, which goes with the test's last
# process: the test runs itself again in there.  Daemons put their taps onto a bridge, or a tap is
# between the host and one guest.  The host, that is this namespace, offers what a guest needs to
# see whether its network works: see start_services and guest-net.sh.

if [ "${LIBVHOST_NAMESPACE:-}" != $$ ]; then
	rm -rf "$tmp"
	need unshare util-linux
	# Others than root are root in a namespace of users, if they may have one.
	how=-n
	[ "$(id -u)" -eq 0 ] || how=-rn
	unshare $how true 2>/dev/null || skip_all "this user can have no network namespace"
	LIBVHOST_NAMESPACE=$$ exec unshare $how "$BASH" "$0"
fi

need ip iproute2
need ethtool ethtool
need busybox busybox-static
[ -c /dev/net/tun ] || skip_all "there is no /dev/net/tun"

daemon=$top_builddir/net/vhost-user-net
stream=$top_builddir/tests/interop/stream
guest_libs+=("$interop/guest-net.sh")
# Of UML, and of QEMU.
uml_drivers=virtio_net
uml_type=1
guest_driver=virtio_net
guest_programs=(ethtool "$stream")

file_bytes=1000003

# What the guest needs to know.
net_variables()
{
	echo "FILE_BYTES=$file_bytes FILE_SUM=$(sum <"$tmp/file")"
}

ip link set lo up

# bridge NAME: with the host's addresses 10.9.0.1 and fd09::1.
bridge()
{
	check "host: the bridge $1" ip link add "$1" type bridge forward_delay 0 mcast_snooping 0 || finish
	ip address add 10.9.0.1/24 dev "$1"
	ip address add fd09::1/64 dev "$1" nodad
	ip link set "$1" up
}

# start_services: on port 5001 what comes goes back, on 5002 a file's checksum does, and 5003 gives
# a file.  They know nothing of a guest which went away, and end by themselves.
start_services()
{
	pattern file $file_bytes >"$tmp/file"
	printf '#!/bin/sh\ntimeout 900 head -c %s | sha256sum | cut -d" " -f1\n' $file_bytes >"$tmp/upload"
	printf '#!/bin/sh\nexec timeout 900 cat "%s"\n' "$tmp/file" >"$tmp/download"
	chmod +x "$tmp/upload" "$tmp/download"
	"$stream" serve 5001 >"$tmp/stream.log" 2>&1 &
	pids[stream]=$!
	busybox nc -ll -p 5002 -e "$tmp/upload" >"$tmp/upload.log" 2>&1 </dev/null &
	pids[upload]=$!
	busybox nc -ll -p 5003 -e "$tmp/download" >"$tmp/download.log" 2>&1 </dev/null &
	pids[download]=$!
	check "host: the services listen" wait_until 30 serving 5001 5002 5003
}

serving()
{
	local port

	for port; do
		grep -q "$(printf ':%04X 0*:0000 0A' "$port")" /proc/net/tcp6 || return
	done
}

# What is in /sys/class/net belongs to the namespace in which it was mounted.
mtu_of()
{
	ip -o link show "$1" | sed 's/.* mtu \([0-9]*\) .*/\1/'
}

# logged NAME TEXT: whether a daemon has said so.
logged()
{
	grep -q -- "$2" "$tmp/$1.log"
}

# How often the guest's stream has made progress; see load_progress.
stream_progress()
{
	[ ! -e "$(log_of "$1")" ] ||
		awk '/^stream: [0-9]+ KiB\r?$/ { n += $2 > last; last = $2 } END { print n + 0 }' "$(log_of "$1")"
}

stream_went_on()
{
	[ "$(stream_progress "$1")" -gt "$2" ] || gone "${pids["guest $1"]}"
}

# stream_goes_on NAME WHEN: a row which is ok when the guest's stream has made progress since now.
stream_goes_on()
{
	local before

	# The line which is next may be about what was before.
	before=$(($(stream_progress "$1") + 1))
	await "$1" 120 stream_went_on "$1" "$before" && ! gone "${pids["guest $1"]}"
	row $? "$1: the stream goes on, $2"
}

# nic NAME MAC PROPERTIES [PAIRS]: a device of the QEMU which is started next, served by the daemon
# of this name.
#
# It has no MSI-X: without KVM, QEMU 7.2 crashes when it starts a vhost-user network device which
# has (and a guest which uses it), because it unmasks vectors for which it has allocated nothing.
nics=()
nic()
{
	nics+=(-chardev "socket,id=chardev-$1,path=$tmp/$1.sock$socket_properties"
		-netdev "vhost-user,id=netdev-$1,chardev=chardev-$1,queues=${4:-1}"
		-device "virtio-net-pci,vectors=0,netdev=netdev-$1,mac=$2$3")
}

# If there are no such devices, the one for the daemon has these properties, and pairs of queues.
nic_mac=52:54:00:00:00:01
nic_properties=
nic_pairs=1

# Instead of the disk of other tests.
set_device_args()
{
	local nics=("${nics[@]}")

	[ ${#nics[@]} -gt 0 ] || nic "$1" $nic_mac "$nic_properties" "$nic_pairs"
	device_args=("${nics[@]}")
}
