#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The public header, the map of symbols, the built library and the manual say the same.

. "$(dirname "$0")/../interop/lib.sh"

top_srcdir=$(realpath "${top_srcdir:-$interop/../..}")
header=$top_srcdir/libvhost/libvhost.h
pages=("$top_srcdir"/man/*.3)
export LC_ALL=C

facts()
{
	"${AWK:-awk}" -f "$top_srcdir/tests/doc/api.awk" "$@"
}

facts kind=header "$header" >"$tmp/header"
facts kind=man "${pages[@]}" >"$tmp/man"

# of KIND FILE: the facts of a kind, without that word.
of()
{
	sed -n "s/^$1 //p" "$2" | sort -u
}

# same NAME FILE FILE: their lines are the same, and there are some.
same()
{
	check "$1" diff -u "$2" "$3"
	[ -s "$2" ]
	row $? "$1: there is something to compare"
}

of proto "$tmp/header" >"$tmp/header.protos"
cut -d' ' -f1 "$tmp/header.protos" >"$tmp/header.functions"
sed -n 's/^\t\t\(vhost_[a-z_]*\);$/\1/p' "$top_srcdir/libvhost/libvhost.map" | sort >"$tmp/map"
nm -D --defined-only "$top_builddir/libvhost/.libs/libvhost.so" |
	awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$tmp/library"

same "the map has the functions of the header" "$tmp/header.functions" "$tmp/map"
same "the library has the functions of the map" "$tmp/map" "$tmp/library"

# vhost_dev_new() is a macro in front of a function, and told as a function.
of proto "$tmp/man" | grep -v '^vhost_dev_new ' >"$tmp/man.protos"
same "the manual has the header's prototypes" "$tmp/header.protos" "$tmp/man.protos"
macro=$(sed -n 's/^#define vhost_dev_new(\(.*\)) .*/\1/p' "$header")
equal "the manual has the macro's arguments" "$macro" \
	"$(of proto "$tmp/man" | sed -n 's/^vhost_dev_new .*(\(.*\))$/\1/p' | sed 's/[a-z_ ]*[ *][*]*\([a-z]*\)\(,\|$\)/\1\2/g; s/,/, /g')"

{ cat "$tmp/header.functions"; printf '%s\n' libvhost vhost_dev vhost_queue vhost_req vhost_worker vhost_dev_new; } |
	sort >"$tmp/names"
sed -n 's/^page [^ ]* //p' "$tmp/man" | sort >"$tmp/man.names"
same "each function is in the NAME of one page" "$tmp/names" "$tmp/man.names"

of name "$tmp/header" >"$tmp/header.all"
of name "$tmp/man" >"$tmp/man.all"
same "the manual knows the header's names, and no others" "$tmp/header.all" "$tmp/man.all"

of field "$tmp/man" >"$tmp/man.fields"
of member "$tmp/header" | sed -n 's/\[.*//; s/^struct .* //p' | sort -u >"$tmp/header.members"
check "the manual explains each member" diff "$tmp/header.members" <(comm -12 "$tmp/header.members" "$tmp/man.fields")
grep -oE '[a-z_]+' <(of body "$tmp/header"; cat "$tmp/header.protos") | sort -u >"$tmp/header.words"
equal "the manual explains nothing else" "" "$(comm -23 "$tmp/man.fields" "$tmp/header.words")"

of body "$tmp/man" >"$tmp/man.bodies"
equal "structures in the manual are those of the header" "" "$(of body "$tmp/header" | comm -13 - "$tmp/man.bodies")"
check "there are some" [ -s "$tmp/man.bodies" ]

# Neither our own pages, which refer to each other, nor those of others need be installed.
lint()
{
	mandoc -Tlint "$@" 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db'
}

clean()
{
	[ -z "$(lint "$@" | tee /dev/stderr)" ]
}

referred_page_exists()
{
	local name

	sed -n 's/^\.Xr \(libvhost\|vhost_[a-z]*\) 3.*/\1/p' "${pages[@]}" | sort -u | while read -r name; do
		[ -e "$top_srcdir/man/$name.3" ] || echo "$name"
	done
}

equal "pages which are referred to exist" "" "$(referred_page_exists)"
if command -v mandoc >/dev/null; then
	check "the manual is clean" clean "${pages[@]}"
fi
finish
