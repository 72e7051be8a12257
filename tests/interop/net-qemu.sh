#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A QEMU guest with many network devices, each with other features and a daemon and a tap of its
# own: pings of all sizes, and files in both directions. One of them is on a bridge, where a second
# guest is.

. "$(dirname "$0")/lib-qemu.sh"
. "$(dirname "$0")/lib-net.sh"

need_guest_kernel

# A column for each setting, a row for each device; 1: not as by default.  Any two columns have each
# of 00, 01, 10 and 11 in some row, as they are different, begin with 0 and have as many of 1 as of
# 0.
settings=(csum guest_csum host_tso4 host_tso6 guest_tso4 guest_tso6 host_ecn guest_ecn host_ufo guest_ufo
	mrg_rxbuf packed)
columns=(00001111 00110011 01010101 00111100 01011010 01100110 01101001 00011110 00101101 00010111
	01001011 00011011)
# The numbers of these features.
bits=(0 1 11 12 7 8 13 9 14 10 15 34)

# row_settings ROW: in properties, and in wanted the same for the guest as feature=number=value.
row_settings()
{
	local i value default

	properties="" wanted=""
	for i in "${!settings[@]}"; do
		default=on
		[ "${settings[i]}" != packed ] || default=off
		if [ "$1" = none ]; then
			value=off
		elif [ "${columns[i]:$1:1}" = 0 ]; then
			value=$default
		else
			value=$([ $default = on ] && echo off || echo on)
		fi
		properties+=",${settings[i]}=$value"
		wanted+=" ${settings[i]}=${bits[i]}=$([ $value = on ] && echo 1 || echo 0)"
	done
}

nic_count=0
plan=
start_services

# device NAME MTU PAIRS PROPERTIES WANTED OPTION...: a daemon with its tap, and a device of the
# guest, which wants these features.
device()
{
	local n=$nic_count

	start_daemon "$1" --tap="$1" --up --queue-pairs="$3" --log-level=debug "${@:6}"
	ip address add "10.9.1$n.1/24" dev "$1"
	[ "$2" -lt 1280 ] || ip address add "fd09:1$n::1/64" dev "$1" nodad
	nic "$1" "$(printf '52:54:00:00:00:%02x' "$n")" "$4" "$3"
	plan+="$1|eth$n|10.9.1$n|$2|fd09:1$n|$5
"
	nic_count=$((n + 1))
}

for i in 0 1 2 3 4 5 6 7 none; do
	row_settings $i
	device "row-$i" 1500 1 "$properties" "$wanted"
done
device four 1500 4 ,mq=on,rx_queue_size=1024,tx_queue_size=1024 "mq=22=1 packed=34=0"
device four-packed 1500 4 ,mq=on,packed=on,mrg_rxbuf=off "mq=22=1 packed=34=1 mergeable=15=0" --threads=2
device long 9000 1 ,host_mtu=9000 "mtu=3=1"
device short 68 1 ,packed=on "packed=34=1" --mtu=68

# The other guest, and the device which shares a bridge with it.
bridge br0
start_daemon other --tap=other --bridge=br0 --up --log-level=debug
nics_of_first=("${nics[@]}") nics=()
nic other 52:54:00:00:01:01 ,packed=on
# shellcheck disable=SC2046
start_qemu_guest other "" $(net_variables) <<'END'
equal "packed ring" 1 "$(feature eth0 34)"
check "up" net_up eth0 10.9.0.3 10.9.0.1
serve_guest
END
nics=("${nics_of_first[@]}")
start_daemon bridged --tap=bridged --bridge=br0 --up --log-level=debug
bridged=eth$nic_count
nic bridged 52:54:00:00:01:02 ,mrg_rxbuf=on

qemu_args=(-smp 2)
memory=384
# shellcheck disable=SC2046
start_qemu_guest guest "" $(net_variables) PLAN="$plan" BRIDGED="$bridged" <<'END'
# mean NIC tx|rx COMMAND...: the mean length of packets meanwhile, in mean.
mean()
{
	nic=$1
	dir=/sys/class/net/$1/statistics/$2
	shift 2
	packets=$(cat ${dir}_packets) bytes=$(cat ${dir}_bytes)
	"$@"
	status=$?
	packets=$(($(cat ${dir}_packets) - packets)) bytes=$(($(cat ${dir}_bytes) - bytes))
	mean=$((bytes / (packets + 1)))
	return $status
}

# files NAME NIC HOST TSO: both ways, with packets which are longer than Ethernet's if offloaded.
files()
{
	mean $2 tx check "$1: a file goes to $3" up $3
	check "$1: in packets of $mean bytes" is_long $mean $(($(feature $2 0) * $(feature $2 $4)))
	mean $2 rx check "$1: a file comes from $3" down $3
	check "$1: in packets of $mean bytes" is_long $mean $(($(feature $2 1) * $(feature $2 $5)))
}

# is_long BYTES 1|0
is_long()
{
	if [ $2 = 1 ]; then
		[ $1 -gt 1514 ]
	else
		[ $1 -le 1514 ]
	fi
}

try_nic()
{
	check "$1: features" features_are $2 $6
	# Nobody else has the address.
	echo 0 >/proc/sys/net/ipv6/conf/$2/accept_dad
	check "$1: up" net_up $2 $3.2 $3.1 $4 || return
	equal "$1: MTU" $4 $(cat /sys/class/net/$2/mtu)
	case $1 in
	row-*)
		check "$1: pings" all_pings $3.1
		ip address add $5::2/64 dev $2
		check "$1: IPv6" wait_for pings 1 0 $5::1
		check "$1: pings over IPv6" all_pings $5::1
		files "$1" $2 $3.1 11 7
		files "$1" $2 $5::1 12 8
		;;
	short)
		check "$1: pings" pings 3 0 $3.1
		check "$1: pings in pieces" pings 3 500 $3.1
		check "$1: files" both_ways $3.1
		;;
	*)
		check "$1: pings" all_pings $3.1
		check "$1: files" both_ways $3.1
		;;
	esac
}

ip link set lo up
echo "$PLAN" | while IFS='|' read -r name nic net mtu net6 wanted; do
	[ -z "$name" ] || try_nic $name $nic $net $mtu $net6 "$wanted"
done

# The other guest.
check "guest to guest: up" net_up $BRIDGED 10.9.0.2 10.9.0.1
check "guest to guest: it answers" wait_for pings 1 0 10.9.0.3
check "guest to guest: pings" all_pings 10.9.0.3
check "guest to guest: it is ready" wait_for busybox nc 10.9.0.3 5003 </dev/null
for mtu in 68 1500; do
	check "guest to guest: MTU $mtu" ip link set $BRIDGED mtu $mtu
	check "guest to guest: files" both_ways 10.9.0.3
done
for how in off on; do
	check "guest to guest: offloads $how" ethtool -K $BRIDGED tx $how
	check "guest to guest: files" both_ways 10.9.0.3
done
busybox nc 10.9.0.3 5009 </dev/null

# What can be switched off, and on again, in a device which has everything.
for what in tx tso gso gro sg rx-gro-hw; do
	check "$what off" ethtool -K eth0 $what off
	check "$what off: files" both_ways 10.9.10.1
done
for what in sg tx tso gso gro rx-gro-hw; do
	check "$what on" ethtool -K eth0 $what on
	check "$what on: files" both_ways 10.9.10.1
done
END
end_qemu_guest guest
end_qemu_guest other
equal "host: the MTU of the tap which the front-end asked for" 9000 "$(mtu_of long)"
equal "host: the MTU of the tap which the daemon was asked for" 68 "$(mtu_of short)"
finish
