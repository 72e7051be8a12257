#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Debian packages, unpacked into an empty folder: they have what they should, and it works there.
#
# Building them takes minutes, so that is done only where LIBVHOST_LONG is set; else LIBVHOST_DEBS
# may name the folder which has them.

. "$(dirname "$0")/../interop/lib.sh"

source=$(realpath "${top_srcdir:-$interop/../..}")
debs=${LIBVHOST_DEBS:-$tmp/debs}
root=$tmp/root
lib=
names="libvhost0 libvhost-dev vhost-user-blk vhost-user-net vhost-user-scsi vhost-user-tools"

[ "${SANITIZER:-no}" = no ] || skip_all "packages have no sanitizer"
[ -n "${LIBVHOST_DEBS-}${LIBVHOST_LONG-}" ] || skip_all "neither LIBVHOST_LONG nor LIBVHOST_DEBS is set"
need dpkg-buildpackage dpkg-dev
need dh debhelper
need lintian lintian

# The files which are known to git, or, in a distributed tree, all of it.
build_packages()
{
	local tree=$tmp/debs/libvhost

	mkdir -p "$tree" || return 1
	(cd "$source" && git ls-files -z 2>/dev/null | tar c --null -T - | tar x -C "$tree") || return 1
	(cd "$tree" && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CC DEB_BUILD_OPTIONS="parallel=$(nproc)" \
		dpkg-buildpackage -us -uc -b) >"$tmp/build.log" 2>&1 && return
	tail -n 80 "$tmp/build.log"
	return 1
}

deb()
{
	ls "$debs/$1"_*.deb
}

unpack_all()
{
	local name

	for name in $names; do
		dpkg-deb -x "$(deb "$name")" "$root" || return 1
	done
}

no_errors()
{
	local found

	found=$(lintian --allow-root --fail-on error "$debs"/*.changes 2>&1) && return
	echo "$found"
	return 1
}

# there: run a program with the library which was unpacked.
there()
{
	LD_LIBRARY_PATH=$lib "$@"
}

uses_it()
{
	there ldd "$1" | grep -q "libvhost.so.0 => $root/"
}

build_example()
{
	local flags

	flags=$(PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
		pkg-config --cflags --libs libvhost libevent_core) || return 1
	# shellcheck disable=SC2086
	cc -Wall -Wextra -Werror -o "$tmp/rng" "$root/usr/share/doc/libvhost-dev/examples/rng.c" $flags
}

[ -n "${LIBVHOST_DEBS-}" ] || check "dpkg-buildpackage" build_packages || finish
check "lintian finds no errors" no_errors
for name in $names; do
	check "$name is there" deb "$name"
done
check "they can be unpacked" unpack_all || finish
lib=$(dirname "$(find "$root/usr/lib" -name libvhost.so.0)")

for kind in blk net scsi; do
	program=$root/usr/bin/vhost-user-$kind
	check "$kind: it uses the library from there" uses_it "$program"
	check "$kind: help" there "$program" --help
	for file in "lib/systemd/system/vhost-user-$kind@.service" \
		"lib/systemd/system/vhost-user-$kind@.socket" \
		"lib/systemd/system/vhost-user-$kind-control@.socket" "usr/lib/sysusers.d/vhost-user-$kind.conf" \
		"usr/lib/tmpfiles.d/vhost-user-$kind.conf" \
		"usr/share/qemu/vhost-user/50-vhost-user-$kind.json" \
		"usr/share/bash-completion/completions/vhost-user-$kind"; do
		[ -s "$root/$file" ]
		row $? "$kind: $file"
	done
	[ -d "$root/etc/vhost-user/$kind" ]
	row $? "$kind: the folder of configurations"
	if command -v man >/dev/null; then
		check "$kind: the manual" man -l "$root/usr/share/man/man1/vhost-user-$kind.1.gz"
	fi
done
check "the tools use it too" uses_it "$root/usr/bin/vhost-probe"
check "an example is built of it, by pkg-config" build_example
check "and uses it" uses_it "$tmp/rng"

daemon=$root/usr/bin/vhost-user-blk
before_daemon()
{
	export LD_LIBRARY_PATH=$lib
}
start_daemon unpacked --engine=null --size=1M
check "a front-end is served" "$top_builddir/tests/daemon/give_fd" talk "$tmp/unpacked.sock" 1
stop_daemon unpacked

finish
