#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# With LIBVHOST_LONG=1 each fuzz target runs for two minutes, from its corpus on.
# FUZZ_SECONDS says otherwise.
set -u

skip()
{
	echo "1..0 # SKIP $1"
	exit 0
}

[ -n "${LIBVHOST_LONG-}" ] || skip "fuzzing needs LIBVHOST_LONG=1"
[ "${SANITIZER-no}" = no ] || skip "fuzzing brings its own sanitizers, and runs in the plain build"
[ -n "${FUZZ_CC-}" ] || skip "there is no clang with -fsanitize=fuzzer"

targets=(json messages rings scsi vscsi walkers)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
echo "1..${#targets[@]}"
make -C "$top_builddir" fuzzers >"$dir/log" 2>&1 || {
	sed 's/^/# /' "$dir/log"
	echo "Bail out! make fuzzers failed"
	exit 1
}
n=0
for target in "${targets[@]}"; do
	n=$((n + 1))
	mkdir "$dir/$target"
	# What is new goes to the first folder.
	if "$top_builddir/tests/fuzz/clang/$target" -max_total_time="${FUZZ_SECONDS:-120}" \
			-timeout=60 -max_len=4096 -artifact_prefix="$top_builddir/tests/fuzz/$target-" \
			"$dir/$target" "$top_srcdir/tests/fuzz/corpus/$target" >"$dir/log" 2>&1; then
		echo "ok $n - $target: $(grep -o 'Done [0-9]* runs' "$dir/log")"
	else
		grep -vE 'NEW|REDUCE|pulse|RELOAD' "$dir/log" | tail -n 60 | sed 's/^/# /'
		echo "not ok $n - $target"
	fi
done
