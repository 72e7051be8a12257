#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# examples/rng.c gives random bytes to QEMU's guests: to one driver after the other, and on the
# next connection.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel

guest_device=vhost-user-rng-pci
guest_driver=virtio_rng

# It has no options, so it is started here.
before_daemon()
{
	exec "$top_builddir/examples/rng" "$tmp/rng.sock"
}

start_daemon rng

for guest in "first guest" "second guest"; do
	qemu_guest "$guest" rng <<'END'
read_bytes()
{
	dd if=/dev/hwrng of=$1 bs=512 count=16 iflag=fullblock
}

cd /mnt || exit
driver=/sys/bus/virtio/drivers/virtio_rng
device=$(basename $driver/virtio*)
equal "its source of random bytes" virtio_rng.0 "$(cat /sys/class/misc/hw_random/rng_current)"
check "read some" read_bytes one
equal "as many as were asked for" 8192 "$(wc -c <one)"
check "read more" read_bytes two
refused "they are not the same" cmp one two
refused "bytes which are random cannot be made shorter" sh -c '[ $(gzip -c two | wc -c) -lt 8192 ]'
check "unbind the driver" sh -c "echo $device >$driver/unbind"
refused "there is no source any more" read_bytes three
check "bind the driver" sh -c "echo $device >$driver/bind"
check "read some again" read_bytes three
refused "they are not the same either" cmp two three
END
done
stop_daemon rng
finish
