#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# For make fuzzers: compile the library, the front-end and the targets by clang with libFuzzer.
# Arguments: the sources of each. Environment: srcdir, out, clang, libs.
set -e

# objects FOLDER SOURCE...: compile them into FOLDER. Names are alike between folders.
objects()
{
	folder=$out/$1
	shift
	mkdir -p "$folder"
	for source; do
		case $source in
		*.c) ;;
		*) continue ;;
		esac
		object=$folder/$(basename "$source" .c).o
		if [ ! -e "$object" ] || [ -n "$(find "$srcdir/libvhost" "$srcdir/frontend" \
				"$srcdir/storage" "$srcdir/scsi" "$srcdir/daemons" "$srcdir/tests/fuzz" "$srcdir/tests" -maxdepth 1 \
				\( -name '*.h' -o -name "$(basename "$source")" \) -newer "$object")" ]; then
			$clang -c -o "$object" "$srcdir/$source"
		fi
	done
}

# Words are meant to be split here.
objects libvhost $1 &
objects frontend $2
wait $!
objects common $3
objects storage $4
objects units $5
objects daemons $6
for target in "$srcdir"/tests/fuzz/target_*.c; do
	name=$(basename "$target" .c)
	objects "$name" "tests/fuzz/$name.c"
	$clang -fsanitize=fuzzer -o "$out/${name#target_}" "$out/$name"/*.o "$out"/common/*.o \
		"$out"/units/*.o "$out"/daemons/*.o "$out"/storage/*.o "$out"/frontend/*.o "$out"/libvhost/*.o $libs
done
