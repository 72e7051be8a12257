#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The library can take the place of the one which was recorded last: programs need not be built
# anew. "make abi" records.

. "$(dirname "$0")/../interop/lib.sh"

recorded=${top_srcdir:-$interop/../..}/libvhost/libvhost.abi
header=${top_srcdir:-$interop/../..}/libvhost/libvhost.h
library=$top_builddir/libvhost/.libs/libvhost.so

need abidiff abigail-tools
[ "${SANITIZER:-no}" = no ] || skip_all "a sanitizer changes the library"
[ "$(uname -m)" = x86_64 ] || skip_all "what was recorded is x86_64's"
readelf -S "$library" | grep -q debug_info || skip_all "without debug information"

# What is new is no harm; what is gone or different is.
compatible()
{
	abidiff --no-added-syms --drop-private-types --header-file2 "$header" "$recorded" "$1"
}

check "it can take the place of the recorded one" compatible "$library"

# The same with a function less, and with a field more in front: both have to be seen.
broken()
{
	sed "$1" "$recorded" >"$tmp/libvhost.abi"
	! cmp -s "$tmp/libvhost.abi" "$recorded" && ! abidiff "$tmp/libvhost.abi" "$recorded"
}

check "a function which changes would be seen" broken "s/name='vhost_dev_new_sized'/name='vhost_dev_made'/g"

finish
