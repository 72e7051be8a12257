#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the manual says of security is so: the tests which it names are there and run, and bounds
# have the values which it tells.

. "$(dirname "$0")/../interop/lib.sh"

source=$(realpath "${top_srcdir:-$interop/../..}")
page=$source/man/vhost-user-security.7

# named_tests PAGE: "FILE" and "FILE CASE" of each test which a page names.
named_tests()
{
	awk '
		/^\.Pq tests? / {
			for (i = 2; i <= NF; i++) {
				if ($i == "Pa" || $i == "Li")
					kind = $i
				else if ($i !~ /^[a-z0-9_\/.-]*[a-z0-9_]$/)
					continue
				else if (kind == "Pa" && $i != "tests" && $i != "test")
					print file = $i
				else if (kind == "Li")
					print file, $i
			}
			kind = ""
		}' "$1" | sort -u
}

# file_of TEST: its source.
file_of()
{
	local file

	for file in "$source/tests/$1" "$source/tests/$1".{c,sh}; do
		[ -f "$file" ] && echo "$file" && return
	done
	return 1
}

# Whether make check runs it: a fuzz target is run by the replay of its corpus.
is_run()
{
	case $1 in
	fuzz/target_*) [ -d "$source/tests/fuzz/corpus/${1#fuzz/target_}" ] ;;
	*) cat "$source"/tests/local.mk "$source"/tests/*/local.mk "$source"/*/local.mk |
		grep -qE "tests/${1%.sh}(\.sh)?( |\$)" ;;
	esac
}

# is_there TEST [CASE]
is_there()
{
	local file

	file=$(file_of "$1") || { echo "there is no $1"; return 1; }
	is_run "$1" || { echo "$1 does not run"; return 1; }
	[ -z "${2-}" ] || grep -qE "(START_TEST\($2\)|^static void $2\()" "$file" ||
		{ echo "$1 has no $2"; return 1; }
}

all_there()
{
	local name case status=0

	while read -r name case; do
		is_there "$name" "$case" || status=1
	done < <(named_tests "$1")
	return $status
}

clean()
{
	[ -z "$(mandoc -Tlint "$1" 2>&1 | tee /dev/stderr)" ]
}

# value_of NAME FILE: a number in the source, a macro or what a field of options begins with.
value_of()
{
	local text

	text=$(sed -n -e "s/^#define $1[[:space:]]\{1,\}\([^/]*\).*/\1/p" \
		-e "s/.*\.$1 = \([0-9]*\)[, ].*/\1/p" "$source/$2")
	[ "$text" ] && echo $((${text//[uU]/}))
}

# Each comment "bound NAME FILE VALUE" of the page is true, and the next line begins with the value.
bounds()
{
	awk '/^\.\\" bound / { name = $3; file = $4; value = $5; getline; print name, file, value, $1 }' "$page"
}

check_bounds()
{
	local name file value said

	while read -r name file value said; do
		equal "$name is $value" "$value" "$(value_of "$name" "$file")"
		equal "$name: the manual says so" "$value" "$said"
	done < <(bounds)
}

for name in security service; do
	if command -v mandoc >/dev/null; then
		check "vhost-user-$name.7 is clean" clean "$source/man/vhost-user-$name.7"
	fi
done
[ "$(named_tests "$page" | wc -l)" -gt 40 ]
row $? "the page names tests"
for name in vhost-user-security.7 vhost-user-blk.1 vhost-user-net.1 vhost-user-scsi.1; do
	check "$name: the tests which it names are there" all_there "$source/man/$name"
done
[ "$(bounds | wc -l)" -gt 15 ]
row $? "the page tells bounds"
check_bounds

# Each bound is shown by a test.
untested()
{
	sed -n '/^\.Sh BOUNDS/,/^\.Sh SEE/p' "$page" | awk '
		/^\.It / { if (item != "" && !tested) print item; item = $0; tested = 0 }
		/^\.Pq tests? / { tested = 1 }
		END { if (!tested) print item }'
}
equal "each bound has a test" "" "$(untested)"

finish
