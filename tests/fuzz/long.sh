#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# With LIBVHOST_LONG=1 each fuzz target runs for two minutes, from its corpus on.
# FUZZ_SECONDS says otherwise.
set -u
. "$(dirname "$0")/../tap.sh"

[ -n "${LIBVHOST_LONG-}" ] || skip_all "fuzzing needs LIBVHOST_LONG=1"
[ "${SANITIZER-no}" = no ] || skip_all "fuzzing brings its own sanitizers, and runs in the plain build"
[ -n "${FUZZ_CC-}" ] || skip_all "there is no clang with -fsanitize=fuzzer"

targets=(json messages rings scsi vscsi walkers)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
make -C "$top_builddir" fuzzers >"$dir/log" 2>&1 || {
	comment <"$dir/log"
	echo "Bail out! make fuzzers failed"
	exit 1
}
for target in "${targets[@]}"; do
	mkdir "$dir/$target"
	# What is new goes to the first folder.
	"$top_builddir/tests/fuzz/clang/$target" -max_total_time="${FUZZ_SECONDS:-120}" \
		-timeout=60 -max_len=4096 -artifact_prefix="$top_builddir/tests/fuzz/$target-" \
		"$dir/$target" "$top_srcdir/tests/fuzz/corpus/$target" >"$dir/log" 2>&1
	row $? "$target: $(grep -o 'Done [0-9]* runs' "$dir/log")" ||
		grep -vE 'NEW|REDUCE|pulse|RELOAD' "$dir/log" | tail -n 60 | comment
done
tap_end
