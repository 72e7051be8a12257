#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What make install puts there is all that a device needs: the examples are built of it, with
# pkg-config, and run.

. "$(dirname "$0")/../interop/lib.sh"

need pkg-config pkg-config

root=$tmp/root
flags=
[ "${SANITIZER:-no}" = no ] || flags=-fsanitize=$SANITIZER

install_there()
{
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$top_builddir" install DESTDIR="$root"
}

# installed NAME: the one file of this name.
installed()
{
	find "$root" -name "$1" -type f ! -path "*/completions/*"
}

# Our own pkg-config file before any other, and paths within the folder in which all was installed.
package()
{
	local dir

	dir=$(dirname "$(installed libvhost.pc)")
	PKG_CONFIG_PATH=$dir PKG_CONFIG_SYSROOT_DIR=$root pkg-config "$@"
}

build()
{
	# shellcheck disable=SC2086,SC2046
	${CC:-cc} $flags -Wall -Wextra -Werror -o "$tmp/examples/$1" "$(installed "$1.c")" \
		$(package --cflags --libs libvhost libevent_core)
}

# Whether a program takes the library from there and from nowhere else.
uses_it()
{
	ldd "$tmp/examples/$1" | grep "libvhost.so.* $root/"
}

# Each function's page leads to one which exists, and tells about it.
alias_leads()
{
	local alias=$1 page dir

	dir=$(dirname "$(installed libvhost.3)")
	page=$(sed -n 's/^\.so //p' "$alias")
	grep -q "^\.Fo $(basename "$alias" .3)\$" "$dir/../$page"
}

aliases_lead()
{
	local alias n=0

	for alias in $(grep -l '^\.so ' $(find "$root" -name 'vhost_*.3')); do
		alias_leads "$alias" || echo "$alias leads nowhere" >&2
		n=$((n + 1))
	done 2>&1
	echo "$n pages"
}

# What is installed, as the Debian packages name it: their prefix, and any architecture's folder.
debian_names()
{
	local prefix libdir

	prefix=$(dirname "$(dirname "$(find "$root" -path '*/bin/vhostctl')")") || return 1
	libdir=$(dirname "$(find "$root" -name libvhost.so)")
	find "$root" ! -type d ! -name '*.la' | sed -e "s|^.*/lib/systemd/system/|lib/systemd/system/|" \
		-e "s,^$libdir/\(libvhost\|pkgconfig\),usr/lib/any/\1," -e "s|^$prefix/|usr/|" -e "s|^$root/||"
}

# Those of them which are in no package.
unpackaged()
{
	local name pattern

	debian_names | while read -r name; do
		while read -r pattern _; do
			# shellcheck disable=SC2053
			[[ $name == $pattern || $name == $pattern/* ]] && continue 2
		done < <(cat "${top_srcdir:-$interop/../..}"/debian/*.install)
		echo "$name"
	done
}

check "make install" install_there || finish
for name in libvhost.h libvhost.pc vhost-user-blk vhost-user-blk.1 vhostctl vhostctl.1 control.schema.json libvhost.3 vhost_dev.3 rng.c template.c; do
	check "$name is installed" [ -e "$(installed $name)" ]
done
check "there is the library's version" [ "$(package --modversion libvhost)" ]

if [ -d "${top_srcdir:-$interop/../..}/debian" ]; then
	[ "$(debian_names | wc -l)" -gt 50 ]
	row $? "all sorts of files are installed"
	equal "each of them is in a Debian package" "" "$(unpackaged)"
else
	row 0 "each of them is in a Debian package # SKIP there is no debian/ here"
fi

mkdir "$tmp/examples"
library=$(dirname "$(find "$root" -name libvhost.so)")
export LD_LIBRARY_PATH=$library
for example in rng template; do
	check "$example: build it" build $example
	check "$example: it uses the installed library" uses_it $example
done

if [ -x "$top_builddir/tests/doc/test_examples" ]; then
	check "the examples work" env -u LD_LIBRARY_PATH EXAMPLES="$tmp/examples" EXAMPLES_LIBRARY="$library" \
		"$top_builddir/tests/doc/test_examples"
else
	row 0 "the examples work # SKIP package check is not installed"
fi

functions=$(sed -n 's/^\t\t\(vhost_[a-z_]*\);$/\1/p' "${top_srcdir:-$interop/../..}/libvhost/libvhost.map" | wc -l)
# One more: vhost_dev_new(), which is a macro.
equal "each function has a manual page" "$((functions + 1)) pages" "$(aliases_lead)"
finish
