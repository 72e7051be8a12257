#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# libvhost.h compiles alone and beside the kernel's headers, as C99, C11 and C++, without a warning.

. "$(dirname "$0")/../interop/lib.sh"

top_srcdir=$(realpath "${top_srcdir:-$interop/../..}")
kernel_headers="linux/vhost.h linux/vhost_types.h linux/virtio_ring.h"

# compile COMPILER STANDARD SUFFIX HEADER...: include the headers in this order, and use ours.
compile()
{
	local compiler=$1 standard=$2 source=$tmp/source.$3 header

	shift 3
	{
		for header; do
			echo "#include <$header>"
		done
		cat <<'END'
static void kick(struct vhost_queue *q)
{
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1))
		vhost_req_push(req, 0);
}

int use(struct vhost_dev **dev);
int use(struct vhost_dev **dev)
{
	struct vhost_dev_ops ops = vhost_dev_ops();
	struct vhost_dev_params params = vhost_dev_params();

	ops.kick = kick;
	params.flags = VHOST_DEV_INFLIGHT;
	return vhost_dev_new(dev, &ops, &params, 0);
}
END
	} >"$source"
	# In C a structure is emptied by an initializer.
	[ "$source" = "$tmp/source.cc" ] || sed -i 's/= vhost_dev_[a-z]*()/= { 0 }/' "$source"
	# Without that define linux/virtio_ring.h has a function which is no C++.
	$compiler "-std=$standard" -Wall -Wextra -pedantic -Werror \
		-DVIRTIO_RING_NO_LEGACY -I "$top_srcdir/libvhost" -c -o "$tmp/object.o" "$source"
}

# each_order COMPILER STANDARD SUFFIX
each_order()
{
	check "$2: alone" compile "$@" libvhost.h
	check "$2: twice" compile "$@" libvhost.h libvhost.h
	# shellcheck disable=SC2086
	check "$2: before the kernel's headers" compile "$@" libvhost.h $kernel_headers
	# shellcheck disable=SC2086
	check "$2: behind the kernel's headers" compile "$@" $kernel_headers libvhost.h
}

for standard in c99 c11 gnu17; do
	each_order "${CC:-cc}" $standard c
done
if command -v g++ >/dev/null; then
	for standard in c++11 c++20; do
		each_order g++ $standard cc
	done
else
	row 0 "C++ # SKIP package g++ is not installed"
fi
finish
