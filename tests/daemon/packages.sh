#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Debian packages, installed where there was nothing of ours: they have what they should, it works
# there, and goes again.
#
# The place is this system's root under an overlay, whose changes nobody sees who is not in the
# test's own mount namespace.  Who may not mount has them unpacked into an empty folder instead.
#
# Building them takes minutes, so that is done only where LIBVHOST_LONG is set; else LIBVHOST_DEBS
# may name the folder which has them.

. "$(dirname "$0")/../interop/lib.sh"

[ "${SANITIZER:-no}" = no ] || skip_all "packages have no sanitizer"
[ -n "${LIBVHOST_DEBS-}${LIBVHOST_LONG-}" ] || skip_all "neither LIBVHOST_LONG nor LIBVHOST_DEBS is set"
need dpkg-buildpackage dpkg-dev
need dh debhelper
need lintian lintian

if [ "$(id -u)" -eq 0 ] && [ "${LIBVHOST_NAMESPACE:-}" != $$ ] && unshare -m true 2>/dev/null; then
	rm -rf "$tmp"
	LIBVHOST_NAMESPACE=$$ exec unshare -m "$BASH" "$0"
fi

source=$(realpath "${top_srcdir:-$interop/../..}")
debs=${LIBVHOST_DEBS:-$tmp/debs}
root=
lib=
names="libvhost0 libvhost-dev vhost-user-blk vhost-user-net vhost-user-scsi vhost-user-tools"

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

no_errors()
{
	local found

	found=$(lintian --allow-root --fail-on error "$debs"/*.changes 2>&1) && return
	echo "$found"
	return 1
}

# --- The place ---

unmount_all()
{
	umount -R "$tmp/over" 2>/dev/null
}

# This system's root, without what it leaves out of packages.
overlay()
{
	[ "${LIBVHOST_NAMESPACE:-}" = $$ ] && mkdir "$tmp/over" && mount -t tmpfs tmpfs "$tmp/over" &&
		mkdir "$tmp/over"/{upper,work,root} && mount -t overlay overlay -o \
		"lowerdir=/,upperdir=$tmp/over/upper,workdir=$tmp/over/work" "$tmp/over/root" &&
		mount --rbind /proc "$tmp/over/root/proc" && mount --rbind /dev "$tmp/over/root/dev" &&
		mount -t tmpfs tmpfs "$tmp/over/root/run" && rm -f "$tmp/over/root/etc/dpkg/dpkg.cfg.d"/*
}

install_all()
{
	local name

	mkdir "$root/debs" || return 1
	for name in $names; do
		cp "$(deb "$name")" "$root/debs" || return 1
	done
	chroot "$root" sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i /debs/*.deb'
}

unpack_all()
{
	local name

	for name in $names; do
		dpkg-deb -x "$(deb "$name")" "$root" || return 1
	done
}

# there PROGRAM ARG...: run a program of the place, with the library which is there.
there()
{
	if [ "$lib" ]; then
		LD_LIBRARY_PATH=$lib "$root$1" "${@:2}"
	else
		chroot "$root" "$@"
	fi
}

installed()
{
	[ -z "$lib" ]
}

uses_it()
{
	if installed; then
		chroot "$root" ldd "$1" | grep -q "libvhost.so.0 => /.*usr/lib\|libvhost.so.0 => /lib"
	else
		LD_LIBRARY_PATH=$lib ldd "$root$1" | grep -q "libvhost.so.0 => $root/"
	fi
}

# --- What is there ---

build_example()
{
	local flags example=/usr/share/doc/libvhost-dev/examples/rng.c

	if installed; then
		# shellcheck disable=SC2016
		chroot "$root" sh -c 'cc -Wall -Wextra -Werror -o /debs/rng "$1" \
			$(pkg-config --cflags --libs libvhost libevent_core)' sh $example
		return
	fi
	mkdir "$root/debs"
	flags=$(PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
		pkg-config --cflags --libs libvhost libevent_core) || return 1
	# shellcheck disable=SC2086
	cc -Wall -Wextra -Werror -o "$root/debs/rng" "$root$example" $flags
}

# readable PAGE SECTION: its name is in its text.
readable()
{
	if installed; then
		[ "$(chroot "$root" man -w "$2" "$1")" ] &&
			chroot "$root" man "$2" "$1" | grep -q "$1"
	else
		man -l "$root/usr/share/man/man$2/$1.$2.gz" | grep -q "$1"
	fi
}

# With the options of a file, as its unit runs it, and as that user.
start_installed()
{
	local as=()

	mkdir -p "$root/var/lib/vhost-user" "$root/run/vhost-user/blk"
	echo '{ "blk-file": "/var/lib/vhost-user/vm1.img", "size": "4M", "num-queues": 2 }' \
		>"$root/etc/vhost-user/blk/vm1.json"
	installed && as=(setpriv --reuid=vhost-user --regid=vhost-user --init-groups)
	installed && chown vhost-user: "$root/run/vhost-user/blk" 2>/dev/null
	installed && chroot "$root" chown vhost-user: /run/vhost-user/blk
	exec chroot "$root" "${as[@]}" /usr/bin/vhost-user-blk --config=/etc/vhost-user/blk/vm1.json \
		--socket-path=/run/vhost-user/blk/vm1.sock --control=/run/vhost-user/blk/vm1.control
}

check_run_installed()
{
	local socket=$root/run/vhost-user/blk/vm1.sock

	start_installed >"$tmp/vm1.log" 2>&1 &
	pids[vm1]=$!
	check "the daemon makes its socket" wait_until 30 [ -S "$socket" ]
	check "a verified load" there /usr/bin/vhost-bench blk --verify --rw=randrw --requests=200 --queues=2 \
		/run/vhost-user/blk/vm1.sock
	check "vhostctl finds it" there /usr/bin/vhostctl blk/vm1 status
	equal "it is the user of the package" vhost-user \
		"$(chroot "$root" stat -c %U /var/lib/vhost-user/vm1.img)"
	kill "${pids[vm1]}"
	check "it ends" end_process vm1
}

# What remains of ours in the file system once the packages are purged, and was not there before.
remains()
{
	local file

	(cd "$tmp/over/upper" && find usr lib etc -name '*vhost*' ! -type c) 2>/dev/null | while read -r file; do
		[ -e "/$file" ] || echo "$file"
	done
}

# --- The test ---

[ -n "${LIBVHOST_DEBS-}" ] || check "dpkg-buildpackage" build_packages || finish
check "lintian finds no errors" no_errors
for name in $names; do
	check "$name is there" deb "$name"
done
trap 'unmount_all; cleanup' EXIT
if overlay 2>"$tmp/overlay"; then
	root=$tmp/over/root
	check "they can be installed" install_all || finish
	check "their user is made" chroot "$root" id vhost-user
	for name in $names; do
		equal "$name is installed" "install ok installed" \
			"$(chroot "$root" dpkg-query -W -f '${Status}' "$name")"
	done
else
	row 0 "installed under an overlay # SKIP only unpacked: $(tail -n 1 "$tmp/overlay")"
	root=$tmp/root
	check "they can be unpacked" unpack_all || finish
	lib=$(dirname "$(find "$root/usr/lib" -name libvhost.so.0)")
fi

for kind in blk net scsi; do
	check "$kind: it uses the library from there" uses_it "/usr/bin/vhost-user-$kind"
	check "$kind: help" there "/usr/bin/vhost-user-$kind" --help
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
done
if command -v man >/dev/null; then
	for page in vhost-user-blk.1 vhost-user-net.1 vhost-user-scsi.1 vhostctl.1 vhost-probe.1 vhost-bench.1 \
		libvhost.3 vhost_dev.3 vhost-user-service.7 vhost-user-security.7; do
		check "the manual page $page" readable "${page%.*}" "${page##*.}"
	done
else
	row 0 "manual pages # SKIP package man-db is not installed"
fi
check "the tools use it too" uses_it /usr/bin/vhost-probe
check "an example is built of it, by pkg-config" build_example
check "and uses it" uses_it /debs/rng

if installed; then
	check_run_installed
	rm -f "$root/etc/vhost-user/blk/vm1.json"
	# shellcheck disable=SC2086
	check "they can be purged" chroot "$root" dpkg -P $names
	equal "nothing is left" "" "$(remains)"
else
	daemon=$root/usr/bin/vhost-user-blk
	before_daemon()
	{
		export LD_LIBRARY_PATH=$lib
	}
	start_daemon unpacked --engine=null --size=1M
	check "a front-end is served" "$top_builddir/tests/daemon/give_fd" talk "$tmp/unpacked.sock" 1
	stop_daemon unpacked
fi

finish
