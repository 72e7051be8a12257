# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Rows of the Test Anything Protocol from shell scripts.
#
# A test prints one row per case and ends with tap_end; one that ends elsewhere is an error to the
# harness. What rows have to say besides is a comment.

rows=0
failed=0

# row STATUS NAME: status 0 is success; tells whether it was.
row()
{
	rows=$((rows + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $rows - $2"
	else
		echo "not ok $rows - $2"
		failed=$((failed + 1))
		return 1
	fi
}

comment()
{
	tr -d '\r' | sed 's/^/# /'
}

# equal NAME WANTED FOUND
equal()
{
	[ "$2" = "$3" ]
	row $? "$1" && return
	printf 'wanted: %s\nfound:  %s\n' "$2" "$3" | comment
	return 1
}

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 0
}

tap_end()
{
	echo "1..$rows"
	exit 0
}
