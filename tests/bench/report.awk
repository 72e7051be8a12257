# SPDX-License-Identifier: BSD-3-Clause
# The lines of tests/bench/report as Markdown; what they are is written in report-lib.sh.  curves is
# what the pictures' names begin with, or empty.

BEGIN {
	FS = "\t"
	title["blk-null"] = "null store"
	title["tmpfs"] = "image on tmpfs"
	title["tmpfs-bare"] = "image on tmpfs and the bare file"
	title["disk"] = "image on disk"
	title["disk-bare"] = "image on disk and the bare file"
	title["net-null"] = "null packets"
	title["tap"] = "tap"
	title["guest"] = "in a guest"
	title["queues"] = "queues and workers"
	title["daemons"] = "daemons"
	title["depths"] = "further points of the curves"
}

# 12345678 as 12.3 M, 123456 as 123 k.
function large(n)
{
	if (n == "-")
		return ""
	if (n >= 1e6)
		return sprintf("%.1f M", n / 1e6)
	return n >= 1e4 ? sprintf("%.0f k", n / 1e3) : sprintf("%.0f", n)
}

function small(n)
{
	return n == "-" ? "" : sprintf("%.0f", n)
}

# A ratio or a figure, so that it can be compared with its goal.
function figure(n)
{
	if (n >= 100 || n == int(n))
		return sprintf("%.0f", n)
	return n >= 10 ? sprintf("%.1f", n) : sprintf("%.2f", n)
}

# What is measured, in words; an absolute figure has its unit.
function unit(what)
{
	if (what == "IOPS" || what == "packets" || what == "KiB")
		return what " a second, ratio"
	if (what == "CPU")
		return "CPU per request, ratio"
	if (what == "CPU-ns")
		return "CPU-ns per request"
	if (what == "own-MiB")
		return "own resident MiB"
	if (what == "ms-to-ready")
		return "ms until ready"
	return what
}

function goal(sense, value)
{
	return (sense == "least" ? "≥ " : "≤ ") value
}

function verdict(sense, value, got)
{
	if (sense == "least" ? got >= value : got <= value)
		return "met"
	if (value == 0)
		return "**missed**: " figure(got) " instead of 0"
	return sprintf("**missed by %.0f %%**", (sense == "least" ? value - got : got - value) / value * 100)
}

function pair(a, b)
{
	return a == "" ? "" : a " / " b
}

# Lines of several runs may be put together.
$1 == "fact" && !($2 in fact) {
	facts[++nfacts] = $2
	fact[$2] = $3
}

$1 == "command" {
	# The same one for several rows is told once.
	if (!(($2, $3) in told)) {
		told[$2, $3] = 1
		if (!($2 in ncommands))
			order[++norder] = $2
		commands[$2, ++ncommands[$2]] = $3
	}
}

$1 == "row" {
	counts[verdict($6, $7, $8) == "met" ? "met" : "missed"]++
	rows[++nrows] = sprintf("| %s | %s | %s | %s | %s | %s to %s | %s | %s | %s |", $3, $4 == "-" ? "" : $4,
		unit($5), goal($6, $7), figure($8), figure($9), figure($10),
		pair(large($11), large($12)), pair(small($13), small($14)), verdict($6, $7, $8))
	repeated += $16
	disturbed += $17
}

$1 == "none" {
	counts["none"]++
	rows[++nrows] = sprintf("| %s | %s | %s | %s | | | | | not measured: %s |", $3, $4, unit($5), goal($6, $7), $8)
}

END {
	print "# Performance\n"
	print "Made by `tests/bench/report`, which measures libvhost's daemons beside other back-ends, and beside the"
	print "same work without any back-end, on one machine. No figure below was typed by hand."
	if ("quick" in fact)
		print "\n**This was a quick run, which shows that it works and not how fast it is.**"
	print "\n## Result\n"
	printf "%d goals met, %d missed, %d not measured.\n\n", counts["met"], counts["missed"], counts["none"]
	print "| work | against | what | goal | median | spread | ours / theirs, a second | CPU-ns, ours / theirs | |"
	print "|---|---|---|---|---|---|---|---|---|"
	for (i = 1; i <= nrows; i++)
		print rows[i]
	if (curves != "") {
		print "\n## Over the queue depth\n"
		print "Random reads of 4 KiB; both axes of the first and the lower one of the second are logarithmic.\n"
		print "![Requests per second over the queue depth](" curves "-iops.svg)"
		print "![CPU time per request over the queue depth](" curves "-cpu.svg)"
	}
	print "\n## How to read it\n"
	print "A comparison consists of rounds, in each of which both sides have their turn, one after the other, in"
	print "alternating order. What counts is the ratio within a round, ours to theirs, since machines are not equally"
	print "fast all the time: *median* is that of the rounds' ratios, *spread* the smallest and the largest of them."
	print "Where *what* is no ratio, the three are of our figure alone. *A second* and *CPU-ns* are medians of both"
	print "sides: requests or packets, and the CPU time which the back-end's process spends on each, with all its"
	print "threads and the kernel's work in its name; a back-end which polls uses all of its time.\n"
	print "The load is a driver on a core of its own, which looks at the rings instead of waiting for interrupts; disks"
	print "are given indirect descriptors as Linux does. Back-ends, and the bare loops in their place, have the other"
	print "core. Before, between and after the turns a short loop is timed on both cores: a round in which it took 15 %"
	print "longer than its best is done again, at most until three times as many as wanted have been tried, and less often\nwhen time runs out.\n"
	print "In the rows of a QEMU guest the load is in the guest, which has our devices and QEMU's own ones side by side, and"
	print "whose processor is emulated; CPU-ns are those of QEMU and the daemons together, of each request or KiB. Its"
	print "rounds are not done again.\n"
	printf "Here that was %d rounds which were done again, and %d which count although they were disturbed.\n\n", repeated, disturbed
	print "Wake-ups are how often any thread of a daemon ran, for whatever reason, while its guest, connected and with"
	print "its rings set up, stood still. Own memory is what is resident of the daemon without the guest's memory;"
	print "pages of shared libraries are in it. Ready is when a connection is accepted."
	print "\n## The machine\n"
	print "| | |"
	print "|---|---|"
	for (i = 1; i <= nfacts; i++)
		if (facts[i] != "quick")
			printf "| %s | %s |\n", facts[i], fact[facts[i]]
	print "\n## Commands\n"
	print "All of this: `tests/bench/report --output=doc/performance.md`. One part of it, for instance"
	print "`tests/bench/report tap`; `--list` names them. What was run:"
	for (i = 1; i <= norder; i++) {
		s = order[i]
		printf "\n### %s: %s\n\n```sh\n", s, title[s]
		for (k = 1; k <= ncommands[s]; k++)
			print commands[s, k]
		print "```"
	}
}
