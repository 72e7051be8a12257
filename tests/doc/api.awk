# SPDX-License-Identifier: BSD-3-Clause
# What libvhost.h declares (kind=header), and what manual pages say that it does (kind=man), a
# line for each:
#
#   proto NAME TEXT      a function, with its prototype
#   member STRUCT NAME   of a structure, or of an enumeration
#   body STRUCT TEXT     the structure as a whole
#   name NAME            any name which begins with vhost_ or VHOST_
#   field NAME           what a manual page marks as argument or member
#   page FILE NAME       the names in a manual page's NAME section
#
# Blanks are normalised, so that line breaks do not matter.

function squeeze(s)
{
	gsub(/[ \t\n]+/, " ", s)
	gsub(/^ | $/, "", s)
	gsub(/ ?; ?/, "; ", s)
	sub(/ $/, "", s)
	return s
}

# Every name in the text; front-ends' and standards' are none of ours.
function names(text)
{
	while (match(text, /[A-Za-z_][A-Za-z_0-9]*/)) {
		name = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		if (name ~ /^(vhost|VHOST)_[A-Za-z]/ && name !~ /^VHOST_USER_/ && !named[name]++)
			print "name " name
	}
}

function members(tag, body, enumeration,	n, i, part, s)
{
	print "body " tag " " squeeze(body)
	n = split(body, part, enumeration ? "," : ";")
	for (i = 1; i <= n; i++) {
		s = squeeze(part[i])
		sub(/ = .*/, "", s)
		if (match(s, /\(\*[a-z_]+\)/))
			s = substr(s, RSTART + 2, RLENGTH - 3)
		else
			sub(/.*[ *]/, "", s)
		if (s != "")
			print "member " tag " " s
	}
}

# Declarations have one member each.
function header_part(part,	tag, body)
{
	part = squeeze(part)
	if (match(part, /^(struct|enum) [a-z_]+ \{/)) {
		tag = substr(part, 1, RLENGTH - 2)
		body = substr(part, RLENGTH + 1)
		sub(/\}[^}]*$/, "", body)
		members(tag, body, tag ~ /^enum/)
		return
	}
	sub(/ ?__attribute__.*/, "", part)
	if (match(part, /vhost_[a-z_]+\(/))
		print "proto " substr(part, RSTART, RLENGTH - 1) " " part
}

kind == "header" { text = text $0 "\n" }

function header(	i, c, depth, part, n, line, plain)
{
	while (match(text, /\/\*([^*]|\*+[^*\/])*\*+\//))
		text = substr(text, 1, RSTART - 1) " " substr(text, RSTART + RLENGTH)
	names(text)
	gsub(/\\\n/, " ", text)
	n = split(text, line, "\n")
	for (i = 1; i <= n; i++)
		if (line[i] !~ /^[ \t]*#/ && line[i] !~ /^extern "C"/)
			plain = plain line[i] "\n"
	for (i = 1; i <= length(plain); i++) {
		c = substr(plain, i, 1)
		depth += (c == "{") - (c == "}")
		if (c == ";" && depth <= 0) {
			header_part(part)
			part = ""
		} else
			part = part c
	}
}

# Manual pages

kind == "man" && /^\.(\\"|Dt )/ { next }
kind == "man" { names($0) }
kind == "man" && /^\.Sh / { section = substr($0, 5) }
kind == "man" && section == "NAME" && /^\.Nm / {
	page = FILENAME
	sub(/.*\//, "", page)
	print "page " page " " $2
}
kind == "man" && /^\.Bd / { literal = 1; block = ""; next }
kind == "man" && literal && /^\.Ed/ {
	literal = 0
	if (match(block, /^struct [a-z_]+ \{/)) {
		tag = substr(block, 1, RLENGTH - 2)
		block = substr(block, RLENGTH + 1)
		sub(/\}[^}]*$/, "", block)
		print "body " tag " " squeeze(block)
	}
	next
}
kind == "man" && literal { block = block $0 "\n"; next }

function unquote(s)
{
	sub(/^\.[A-Z][a-z] /, "", s)
	gsub(/"/, "", s)
	return s
}

kind == "man" && /^\.Ft / { type = unquote($0) }
kind == "man" && /^\.Fo / { fn = unquote($0); args = "" }
kind == "man" && section == "SYNOPSIS" && /^\.Fa / {
	args = args (args == "" ? "" : ", ") unquote($0)
	next
}
kind == "man" && /^\.Fc/ {
	print "proto " fn " " squeeze(type (type ~ /\*$/ ? "" : " ") fn "(" args ")")
}
kind == "man" && /(^\.| )Fa / {
	n = split($0, word, " ")
	for (i = 2; i <= n; i++)
		if (word[i - 1] ~ /^\.?Fa$/) {
			gsub(/[^a-z_]/, "", word[i])
			print "field " word[i]
		}
}

END {
	if (text != "")
		header()
}
