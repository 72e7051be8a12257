# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the sections of tests/bench/report share: how a row of its table comes about.
#
# A section prints lines whose fields are separated by tabs; all else in the report is made of
# these, by report.awk:
#
#   row SECTION WORK AGAINST WHAT SENSE GOAL MEDIAN MIN MAX [A B CPU_A CPU_B] ROUNDS REPEATED DISTURBED
#   none SECTION WORK AGAINST WHAT SENSE GOAL REASON
#   command SECTION TEXT
#   plot NAME DEPTH IOPS_A CPU_A IOPS_B CPU_B
#   fact NAME TEXT
#
# SENSE is least or most, which the GOAL is; A and B are what was measured of both, CPU their
# CPU-ns per request.  "-" is in the place of what there is not.

emit()
{
	local IFS=$'\t'

	echo "$*"
}

# What is being measured, for the lines.
section='' work_text='' against=''

# In words for people: what the programs are called where they are installed.
say_command()
{
	local text='' arg

	for arg; do
		[[ $arg != *[\ \;]* ]] || arg="'$arg'"
		text+=${text:+ }$arg
	done
	text=${text//"$tests_source/"/tests\/bench\/}
	text=${text//"$top_builddir/tools/.libs/"/}
	text=${text//"$top_builddir/blk/.libs/"/}
	text=${text//"$top_builddir/net/.libs/"/}
	text=${text//"$top_builddir/scsi/.libs/"/}
	text=${text//"$top_builddir/tests/bench/.libs/"/}
	text=${text//"$shm/"/\$SHM/}
	text=${text//"$disk/"/\$DISK/}
	text=${text//"$work/"/}
	text=${text//"bench-$$"/bench}
	emit command "$section" "$text"
}

# none REASON GOAL...: rows which could not be measured.
none()
{
	local reason=$1 goal what sense value

	shift
	for goal; do
		read -r what sense value <<<"$goal"
		emit none "$section" "$work_text" "$against" "$what" "$sense" "$value" "$reason"
	done
}

# absolute WHAT SENSE GOAL <NUMBERS: the median of what was measured several times.
absolute()
{
	local median min max n

	read -r median min max n < <(sort -g | awk '
		{ v[NR] = $1 }
		END { print v[int((NR + 1) / 2)], v[1], v[NR], NR }')
	emit row "$section" "$work_text" "$against" "$1" "$2" "$3" "$median" "$min" "$max" - - - - "$n" 0 0
}

# The numbers of a comparison, each with its extremes: the ratio of the rates and that of the CPU
# time per request; both rates and both CPU times; then rounds, repeated and disturbed ones.
of_json()
{
	jq -r '[(.ratio.per_second, .ratio.backend_cpu_ns_per_request, .a.per_second, .b.per_second,
		.a.backend_cpu_ns_per_request, .b.backend_cpu_ns_per_request) | .median, .min, .max] +
		[.rounds, .repeated, .disturbed] | @tsv' "$1"
}

# The same from lines "RATE_A CPU_A RATE_B CPU_B", a round each.
of_rounds()
{
	awk -v repeated="$1" -v disturbed="$2" '
		function put(v, n,    i, j, x) {
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
					x = v[j]; v[j] = v[j - 1]; v[j - 1] = x
				}
			x = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
			printf "%g\t%g\t%g\t", x, v[1], v[n]
		}
		{ rate[NR] = $1 / $3; cpu[NR] = $2 / $4; a[NR] = $1; b[NR] = $3; ca[NR] = $2; cb[NR] = $4 }
		END {
			put(rate, NR); put(cpu, NR); put(a, NR); put(b, NR); put(ca, NR); put(cb, NR)
			printf "%d\t%d\t%d\n", NR, repeated, disturbed
		}'
}

# goals_met "NUMBERS" GOAL...: a row for each goal, "WHAT least|most VALUE".
goals_met()
{
	local n what sense value at goal

	read -ra n <<<"$1"
	shift
	for goal; do
		read -r what sense value <<<"$goal"
		case $what in
		CPU) at=3 ;;		# their ratio
		CPU-ns) at=12 ;;	# ours alone
		*) at=0 ;;
		esac
		emit row "$section" "$work_text" "$against" "$what" "$sense" "$value" "${n[@]:at:3}" \
			"${n[6]}" "${n[9]}" "${n[12]}" "${n[15]}" "${n[@]:18:3}"
	done
	numbers=("${n[@]}")
}

# compared COMMAND...: run vhost-bench compare, or what prints the same, and make rows for goals=().
compared()
{
	numbers=()
	echo "report: $section: $work_text, against $against" >&2
	say_command "$@"
	if ! timeout 300 "$@" >"$work/json" 2>"$work/errors" || ! jq -e .ratio "$work/json" >/dev/null; then
		none "it failed: $(tail -n 1 "$work/errors" | tr '\t' ' ' | sed "s|$top_builddir/||g")" "${goals[@]}"
		return 1
	fi
	goals_met "$(of_json "$work/json")" "${goals[@]}"
}

# How many times as many rounds as wanted are tried: a machine which is always disturbed shall not
# cost more than ten minutes.
tries()
{
	if ((SECONDS < 120)); then
		echo 3
	else
		echo 1
	fi
}

# versus TYPE OPTION...: the back-ends first=() and second=(), or what says that the second is not
# installed.
versus()
{
	local type=$1

	shift
	if [[ $missing ]]; then
		none "$missing" "${goals[@]}"
		return 1
	fi
	compared "$bench" compare "$type" "$@" --rounds="$rounds" --time-ms="$time_ms" \
		--tries="$(tries)" --json -- \
		"${first[@]}" -- "${second[@]}"
}

# peer PROGRAM PACKAGE: whether it is there; sets missing.
peer()
{
	missing=
	command -v "$1" >/dev/null || missing="not installed: $2"
	[[ ! $missing ]]
}

# A point of the curves, of what was compared last.
plot_point()
{
	((${#numbers[@]})) || return 0
	emit plot "$1" "$2" "${numbers[6]}" "${numbers[12]}" "${numbers[9]}" "${numbers[15]}"
}

# Whether the machine is calm; of a process which runs all the time, and so knows how fast it can be.
is_calm()
{
	local word

	[[ ${calm_PID:-} ]] || coproc calm { exec "$tests_bench/calm" 0 1; }
	echo >&"${calm[1]}"
	read -r word <&"${calm[0]}"
	[[ $word == calm ]]
}

# alternate A B: rounds of two functions which print "RATE CPU", for goals=(). A round around which
# the machine was disturbed is done again, within limits.
alternate()
{
	local tried=0 done=0 disturbed=0 a b calm_round

	numbers=()
	echo "report: $section: $work_text, against $against" >&2
	: >"$work/rounds"
	while ((done < rounds)); do
		calm_round=yes
		is_calm || calm_round=
		if ((tried++ % 2)); then
			b=$("$2") && a=$("$1")
		else
			a=$("$1") && b=$("$2")
		fi 2>"$work/errors"
		if [[ ! $a || ! $b ]]; then
			none "it failed: $(tail -n 1 "$work/errors" | tr '\t' ' ' | sed "s|$top_builddir/||g")" "${goals[@]}"
			return 1
		fi
		is_calm || calm_round=
		[[ $calm_round ]] || ((rounds * $(tries) - tried < rounds - done)) || continue
		[[ $calm_round ]] || ((disturbed++))
		((++done))
		echo "$a $b" >>"$work/rounds"
	done
	goals_met "$(of_rounds $((tried - done)) $disturbed <"$work/rounds")" "${goals[@]}"
}
