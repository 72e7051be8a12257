# SPDX-License-Identifier: BSD-3-Clause
# Make doc/conformance.md of what the library's tables say (kind=table), of the rules
# (kind=rules), of the library's sources (kind=library) and of the tags in the tests (kind=tests).
#
# Mistakes go to standard error, one a line: "no-test ID", "no-row FILE:LINE: ID", "no-function
# NAME", "rules FILE:LINE: ..." and "tag FILE:LINE: ...". The page is made nevertheless.
#
# A tag is a comment "proves: ID, ID" above a test, which is the next line that is no comment:
# START_TEST(name) in C, and otherwise a line with the test's name in quotes. A tag which ends
# with a comma goes on in the next line.

function mistake(text)
{
	print text >"/dev/stderr"
	mistakes++
}

function here()
{
	return FILENAME ":" FNR
}

function trim(s)
{
	gsub(/^[ \t]+|[ \t]+$/, "", s)
	return s
}

function new_row(id)
{
	if (id in is_row)
		mistake("rules " here() ": " id " is there twice")
	is_row[id] = 1
	order[++rows] = id
}

FNR == 1 {
	if (tag_open)
		mistake("tag " last_file ": a tag without a test at its end")
	tag_open = tag_more = ntags = 0
	rule = ""
}

# The program's output
kind == "table" {
	split($0, f, "\t")
	new_row(f[2])
	row_kind[f[2]] = f[1]
	number[f[2]] = f[3]
	if (f[1] == "front" || f[1] == "back") {
		func_of[f[2]] = f[4]
		needs[f[2]] = f[5]
	} else
		offered[f[2]] = f[4]
	next
}

# doc/conformance.rules
kind == "rules" && /^#|^$/ { next }
kind == "rules" && /^= / {
	group = substr($0, 3)
	next
}
kind == "rules" && /^[^\t]/ {
	rule = $1
	if (rule in is_row && row_kind[rule] != "rule")
		next		# a note on a message or a feature
	new_row(rule)
	row_kind[rule] = "rule"
	group_of[rule] = group
	func_of[rule] = $2
	standard[rule] = trim(substr($0, index($0, $2) + length($2)))
	if (standard[rule] == "" || $2 !~ /^[a-z_0-9]+$/)
		mistake("rules " here() ": not ID FUNCTION SECTION")
	next
}
kind == "rules" {
	line = trim($0)
	if (sub(/^seen in: */, "", line))
		seen[rule] = line
	else
		note[rule] = note[rule] (note[rule] == "" ? "" : " ") line
	next
}

# The library: names of the functions which are defined there
kind == "library" && /^[a-z].*\(/ && !/;$/ && (FILENAME ~ /\.c$/ || /^static inline/ || /^[a-z_0-9]+\(.*\)$/) {
	name = $0
	sub(/\(.*/, "", name)
	sub(/.*[ *]/, "", name)
	is_function[name] = 1
}
kind == "library" { next }

# The tests
function add_tags(text,	n, i, part)
{
	sub(/\*\/.*/, "", text)
	text = trim(text)
	tag_more = text ~ /,$/
	n = split(text, part, ",")
	for (i = 1; i <= n; i++)
		if (trim(part[i]) != "")
			tags[++ntags] = trim(part[i])
	tag_open = 1
	last_file = here()
}

function test_name(line)
{
	if (match(line, /START_TEST\([A-Za-z0-9_]+/))
		return substr(line, RSTART + 11, RLENGTH - 11)
	if (match(line, /"[^"]+"/) || match(line, /'[^']+'/))
		return substr(line, RSTART + 1, RLENGTH - 2)
	return ""
}

function name_tags(name,	i, id, file)
{
	file = FILENAME
	sub(/.*\//, "", file)
	sub(/\.c$/, "", file)
	for (i = 1; i <= ntags; i++) {
		id = tags[i]
		if (!(id in is_row)) {
			mistake("no-row " here() ": " id)
			continue
		}
		if (last_test_file[id] == file)
			tests[id] = tests[id] ", " name
		else
			tests[id] = tests[id] (tests[id] == "" ? "" : "; ") "`" file "`: " name
		last_test_file[id] = file
	}
	ntags = tag_open = tag_more = 0
}

kind == "tests" {
	if (match($0, /^[ \t]*(\/\*|\*|#)[ \t]*proves:/)) {
		add_tags(substr($0, RSTART + RLENGTH))
		next
	}
	if (!tag_open)
		next
	if (/^[ \t]*(\/\*|\*|#)/) {
		line = $0
		sub(/^[ \t]*(\/\*|\*\/?|#)/, "", line)
		if (tag_more)
			add_tags(line)
		next
	}
	name = test_name($0)
	if (name == "") {
		mistake("tag " here() ": no test below the tag")
		ntags = tag_open = tag_more = 0
	} else
		name_tags(name)
}

function cell(s)
{
	gsub(/\|/, "\\|", s)
	return s
}

function tests_of(id)
{
	if (!(id in tests)) {
		mistake("no-test " id)
		return "**none**"
	}
	return cell(tests[id])
}

function function_of(id)
{
	if (!(func_of[id] in is_function))
		mistake("no-function " func_of[id] " (" id ")")
	return "`" func_of[id] "`"
}

function messages(which, prefix,	i, id, shown)
{
	print "\n| id | message | needs | function | tests |"
	print "|---|---|---|---|---|"
	for (i = 1; i <= rows; i++) {
		id = order[i]
		if (row_kind[id] != which)
			continue
		shown = id
		sub("^" prefix, "", shown)
		printf "| %s | %s | %s | %s | %s |\n", number[id], shown, needs[id],
			function_of(id) (note[id] == "" ? "" : ": " cell(note[id])), tests_of(id)
	}
}

function features(which,	i, id)
{
	print "\n| bit | feature | offered | tests |"
	print "|---|---|---|---|"
	for (i = 1; i <= rows; i++) {
		id = order[i]
		if (row_kind[id] != which)
			continue
		# Not asked here, for the page is to be the same everywhere.
		if (sub(/^where:/, "where", note[id])) {
			offered[id] = note[id]
			note[id] = ""
		}
		if (offered[id] == "never" && note[id] == "")
			mistake("rules " id " is never offered, and nothing says why")
		printf "| %s | %s | %s | %s |\n", number[id], id,
			offered[id] (note[id] == "" ? "" : ": " cell(note[id])), tests_of(id)
	}
}

function all_rules(	i, id, last)
{
	for (i = 1; i <= rows; i++) {
		id = order[i]
		if (row_kind[id] != "rule")
			continue
		if (group_of[id] != last) {
			last = group_of[id]
			print "\n### " last "\n"
			print "| rule | what holds | standard | function | tests | seen in |"
			print "|---|---|---|---|---|---|"
		}
		printf "| %s | %s | %s | %s | %s | %s |\n", id, cell(note[id]), cell(standard[id]),
			function_of(id), tests_of(id), cell(seen[id])
	}
}

END {
	if (tag_open)
		mistake("tag " last_file ": a tag without a test at its end")
	print "# Conformance"
	print ""
	print "Every message, every feature bit of rings and transport, and the rules for what a back-end does with them: the"
	print "function which implements it, and the tests which prove it."
	print ""
	print "This page is made by `make conformance` of the library's own tables, of [`conformance.rules`](conformance.rules)"
	print "and of the tags in the tests; `make check` fails when it is out of date, or when a row has no test. \"VIRTIO\" is"
	print "Virtual I/O Device (VIRTIO) Version 1.2, \"vhost-user\" is the vhost-user protocol specification of QEMU. \"Seen in\""
	print "names the reports of other projects, and the CVEs, which a rule goes back to."
	print "\n## Messages of the front-end"
	messages("front", "")
	print "\n## Messages to the front-end"
	messages("back", "BACKEND_")
	print "\n## Protocol features"
	features("protocol")
	print "\n## Features of rings and transport"
	print "\nThe others are the device type's, apart from 44 to 49, which are reserved."
	features("ring")
	print "\n## Rules"
	all_rules()
	exit mistakes > 0
}
