#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# When the image cannot be written or read, the guest gets an I/O error; it does not hang, and the
# rest works.

. "$(dirname "$0")/lib-uml.sh"

half=$((4 * 1048576))
names=

# Files cannot be written past a limit, which is what a full file system looks like.
before_daemon()
{
	trap '' XFSZ
	ulimit -f $((half / 1024))
}

for engine in uring aio threads; do
	image $engine $((2 * half))
	pattern $engine $((2 * half)) >"$image"
	start_daemon $engine --blk-file="$image" --engine=$engine
	names="$names $engine"
done

uml_guest guest "$names" HALF=$half ENGINES="$names" <<'END'
cd /mnt || exit
letters="a b c"
for engine in $ENGINES; do
	disk=/dev/vd${letters%% *}
	letters=${letters#* }
	pattern "new $engine" 65536 >data
	check "$engine: a write below the limit" dd if=data of=$disk bs=64k oflag=direct
	refused "$engine: a write above it is an error" \
		dd if=data of=$disk bs=64k seek=$((HALF / 65536 + 8)) oflag=direct
	refused "$engine: a write across it is an error" \
		dd if=data of=$disk bs=64k seek=$((HALF - 32768))B oflag=direct
	refused "$engine: a buffered write above it is an error" \
		dd if=data of=$disk bs=64k seek=$((HALF / 65536 + 16)) conv=fsync
	check "$engine: a later write below the limit" dd if=data of=$disk bs=64k seek=1 oflag=direct
	equal "$engine: read what was written" "$(cat data data | sum)" \
		"$(dd if=$disk bs=64k count=2 iflag=direct | sum)"
	equal "$engine: above the limit all is as before" "$(pattern $engine $((2 * HALF)) | tail -c $HALF | sum)" \
		"$(dd if=$disk bs=64k skip=$((HALF / 65536)) iflag=direct | sum)"
done
END

for engine in $names; do
	truncate -s $half "$tmp/$engine.img"
done
uml_guest "guest after the images shrank" "$names" HALF=$half ENGINES="$names" <<'END'
cd /mnt || exit

# An error, or zeroes.
error_or_zeroes()
{
	timeout 60 dd if=$disk of=read bs=64k skip=$((HALF / 65536)) count=1 iflag=direct
	case $? in
	124) echo "the read hangs"; return 1 ;;
	0) head -c 65536 /dev/zero | cmp - read ;;
	esac
}

letters="a b c"
for engine in $ENGINES; do
	disk=/dev/vd${letters%% *}
	letters=${letters#* }
	check "$engine: a read past the end of the file" error_or_zeroes
	check "$engine: a read before it" dd if=$disk of=read bs=64k skip=1 count=1 iflag=direct
	equal "$engine: what it read" "$(pattern "new $engine" 65536 | sum)" "$(sum <read)"
done
END

for engine in $names; do
	stop_daemon "$engine"
done
finish
