#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU's firmware (SeaBIOS) reads the boot sector from the disk and starts it, and reads and
# writes more for it.

. "$(dirname "$0")/lib-qemu.sh"

# A boot sector which reads sector 1, writes what it read to sector 2, prints it on the serial
# port, and stops QEMU with 0x10 (a status of 33), or with 0x20 (65) if the firmware reported an
# error.
#
#	7c00	31 c0			xor  ax, ax
#	7c02	8e d8			mov  ds, ax
#	7c04	fc			cld
#	7c05	be 40 7c		mov  si, 7c40		; the address packet
#	7c08	b4 42			mov  ah, 42h		; read; dl is the boot disk
#	7c0a	cd 13			int  13h
#	7c0c	72 2c			jc   7c3a
#	7c0e	c6 06 48 7c 02		mov  byte [7c48], 2	; the packet's sector
#	7c13	b8 00 43		mov  ax, 4300h		; write
#	7c16	cd 13			int  13h
#	7c18	72 20			jc   7c3a
#	7c1a	be 00 7e		mov  si, 7e00
#	7c1d	ac		next:	lodsb
#	7c1e	84 c0			test al, al
#	7c20	74 14			jz   7c36
#	7c22	88 c4			mov  ah, al
#	7c24	ba fd 03		mov  dx, 3fdh		; wait until the port can take a byte
#	7c27	ec		wait:	in   al, dx
#	7c28	a8 20			test al, 20h
#	7c2a	74 fb			jz   wait
#	7c2c	88 e0			mov  al, ah
#	7c2e	ba f8 03		mov  dx, 3f8h
#	7c31	ee			out  dx, al
#	7c32	eb e9			jmp  next
#	7c34	90 90			nop, nop
#	7c36	b0 10			mov  al, 10h
#	7c38	eb 02			jmp  7c3c
#	7c3a	b0 20			mov  al, 20h
#	7c3c	e6 f4			out  0f4h, al		; isa-debug-exit
#	7c3e	eb fe			jmp  $
#	7c40	10 00 01 00 00 7e 00 00	; packet: 16 bytes, 1 sector, to 0000:7e00
#	7c48	01 00 00 00 00 00 00 00	; from sector 1
boot_sector()
{
	local hex='31c0 8ed8 fc be407c b442 cd13 722c c606487c02 b80043 cd13 7220 be007e
		ac 84c0 7414 88c4 bafd03 ec a820 74fb 88e0 baf803 ee ebe9 9090
		b010 eb02 b020 e6f4 ebfe 10000100007e0000 0100000000000000'

	hex=$(echo $hex | tr -d ' ')
	# shellcheck disable=SC2001 # every two digits
	printf '%b' "$(echo "$hex" | sed 's/../\\x&/g')"
	head -c $((510 - ${#hex} / 2)) /dev/zero
	printf '\x55\xaa'
}

guest_deadline=60
text="booted from vhost-user-blk"

image disk 4M
{
	boot_sector
	printf '%s' "$text"
} | dd of="$image" conv=notrunc status=none
start_daemon disk --blk-file="$image"

for round in first second; do
	qemu "$round boot" disk -device isa-debug-exit,iobase=0xf4,iosize=4
	wait "${pids["guest $round boot"]}"
	equal "$round boot: the boot sector ends QEMU with success" 33 $?
	unset "pids[guest $round boot]"
	check "$round boot: sector 1 is printed" grep -q "$text" "$tmp/guest-$round-boot.log"
	equal "$round boot: the firmware wrote it to sector 2" \
		"$(dd if="$image" skip=1 count=1 status=none | sum)" \
		"$(dd if="$image" skip=2 count=1 status=none | sum)"
	dd if=/dev/zero of="$image" seek=2 count=1 conv=notrunc status=none
done
stop_daemon disk
finish
