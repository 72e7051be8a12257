# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# What guests do with a network, beside guest.sh: FILE_BYTES and FILE_SUM are the length of the
# host's file and its checksum; see lib-net.sh.

# feature NIC NUMBER: 1: negotiated, 0: not.
feature()
{
	cut -c$(($2 + 1)) /sys/class/net/$1/device/features
}

# has NIC NAME=NUMBER=WANTED...: whether these features were negotiated.
features_are()
{
	nic=$1
	shift
	for wanted; do
		number=${wanted#*=}
		[ "$(feature $nic ${number%=*})" = "${number#*=}" ] && continue
		echo "the feature $wanted is not as wanted"
		return 1
	done
}

# net_up NIC ADDRESS HOST [MTU]: an address, and wait for the host.
#
# The queue before the device has room for all fragments of the largest packet.  If it drops some
# of them, Linux takes none of the packet for sent; of what did go out it then ignores each
# acknowledgment, sends it all again, and that for ever: seen with an MTU of 68.
net_up()
{
	[ -z "${4:-}" ] || ip link set $1 mtu $4 || return
	ip link set $1 qlen 10000 || return
	ip link set $1 up && ip address add $2/24 dev $1 && wait_for pings 1 0 $3 >/dev/null
}

# pings COUNT SIZE HOST
pings()
{
	busybox ping -q -c $1 -i 0.05 -W 20 -s $2 $3
}

# Of any size which there is.
all_pings()
{
	for size in 0 1 17 18 64 1472 1473 4000 8972 20000 65507; do
		pings 1 $size $1 || return
	done
}

# down HOST, up HOST: whether a file comes, or goes, as it is.
down()
{
	same $FILE_SUM $(busybox nc $1 5003 </dev/null | sum)
}

up()
{
	[ -e /mnt/file ] || pattern file $FILE_BYTES >/mnt/file
	same $FILE_SUM $(busybox nc $1 5002 </mnt/file)
}

both_ways()
{
	down $1 && up $1
}

# serve_guest: what lib-net.sh's start_services does, for another guest, until that says on port 5009
# that it is over.
serve_guest()
{
	ip link set lo up
	${STREAM:-stream} serve 5001 &
	pattern file $FILE_BYTES >/mnt/file
	printf '#!/bin/sh\nhead -c %s | sha256sum | cut -d" " -f1\n' $FILE_BYTES >/mnt/upload
	printf '#!/bin/sh\ncat /mnt/file\n' >/mnt/download
	chmod +x /mnt/upload /mnt/download
	busybox nc -ll -p 5002 -e /mnt/upload </dev/null &
	busybox nc -ll -p 5003 -e /mnt/download </dev/null &
	busybox nc -l -p 5009 >/dev/null </dev/null
}

# start_stream HOST CONNECTIONS, end_stream NAME: a verified stream which does not end.
start_stream()
{
	${STREAM:-stream} run $1 5001 $2 &
	stream_pid=$!
}

end_stream()
{
	kill $stream_pid
	check "$1" wait $stream_pid
}
