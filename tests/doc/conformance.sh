#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# doc/conformance.md is up to date, and each of its rows has a function and a test.

. "$(dirname "$0")/../interop/lib.sh"

top_srcdir=$(realpath "${top_srcdir:-$interop/../..}")
table=$top_builddir/tests/doc/conformance_table

# none WORD: there is no such mistake; otherwise they are shown.
none()
{
	! grep "^$1" "$tmp/mistakes" >&2
}

bash "$top_srcdir/tests/doc/make-conformance" "$top_srcdir" "$table" >"$tmp/conformance.md" 2>"$tmp/mistakes"

check "the page can be made" grep -q '^## Rules' "$tmp/conformance.md"
check "the rules are in order" none rules
check "each tag stands above a test" none tag
check "each tag names a row" none no-row
check "each function is in the library" none no-function
check "each row has a test" none no-test
check "there is no other mistake" sh -c '! grep -vE "^(rules|tag|no-row|no-function|no-test) " "$1" >&2' sh "$tmp/mistakes"
check "the page is up to date (make conformance)" diff -u "$top_srcdir/doc/conformance.md" "$tmp/conformance.md"
finish
