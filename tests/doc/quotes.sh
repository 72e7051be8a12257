#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The C code in the documentation is quoted from the examples, word for word.

. "$(dirname "$0")/../interop/lib.sh"

cd "${top_srcdir:-$interop/../..}" || exit 1

# Blocks begin with a line which has this beginning, and end with a line which has that one.
# quotes FILE BEGIN END: a row for each block.
quotes()
{
	local file=$1 begin=$2 end=$3 line block= inside= number=0 first=

	while IFS= read -r line; do
		number=$((number + 1))
		if [ -z "$inside" ]; then
			[ "$line" = "$begin" ] && inside=yes block= first=$number
		elif [ "$line" = "$end" ]; then
			inside=
			check "$file, line $first" quoted "$block"
			blocks=$((blocks + 1))
		else
			block+=$line$'\n'
		fi
	done <"$file"
}

quoted()
{
	local example

	for example in examples/*.c; do
		[[ $(<"$example")$'\n' == *"$1"* ]] && return
	done
	echo "in no example:"
	echo "$1"
	return 1
}

blocks=0
quotes README.md '```c' '```'
quotes doc/writing-a-device.md '```c' '```'
quotes man/libvhost.3 '.Bd -literal -offset indent' .Ed
check "there are quotes" [ $blocks -gt 10 ]
check "rng.c has less than 60 lines, as is said" [ "$(wc -l <examples/rng.c)" -lt 60 ]
finish
