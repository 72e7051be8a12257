# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Section of tests/bench/report: a guest with our devices, and with those of its QEMU.

# guest_row FILE WHAT WORK: what guest.sh found.
guest_row()
{
	local file=$work/guest/$1

	work_text="QEMU guest, $3"
	goals=("$2 least 1" "CPU most 1")
	if [[ -s $file ]]; then
		goals_met "$(of_rounds 0 0 <"$file")" "${goals[@]}"
	else
		none "$(sed -n 's/^1\.\.0 # SKIP //p; s/^not ok [0-9]* - /it failed: /p; s/^# \('"$1"':.*failed\)/\1/p' \
			"$work/guest.log" | head -n 1 | grep . || echo "it failed")" "${goals[@]}"
	fi
}

section_guest()
{
	# A guest whose processor is emulated is not quiet, nor fast.
	local rw depth

	against="QEMU's own device"
	echo "report: $section: a guest" >&2
	say_command "$tests_source/guest.sh"
	ROUNDS=$(((rounds + 1) / 2)) SECONDS_EACH=1 RESULTS=$work/guest timeout 300 "$tests_source/guest.sh" \
		>"$work/guest.log" 2>&1
	guest_row tcp-rx KiB "TCP, host to guest"
	guest_row tcp-tx KiB "TCP, guest to host"
	for rw in read write; do
		for depth in 1 32; do
			guest_row disk-$rw-$depth IOPS "image on tmpfs, rand$rw 4 KiB, depth $depth"
		done
	done
}
