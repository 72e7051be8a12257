# SPDX-License-Identifier: BSD-3-Clause
# Completion for vhost-probe and vhost-bench: options and their words are those of --help.

# The options of a tool, each as --help has it: --name, --name=ARG or --name=word|word.
_vhost_tool_options()
{
	"$1" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*[^ ]*\).*/\1/p'
}

# The words which the option --$2 of tool $1 takes, if --help names them.
_vhost_tool_words()
{
	_vhost_tool_options "$1" | sed -n "s/^--$2=\(.*|.*\)/\1/p" | tr '|' ' '
}

_vhost_tool()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=

	# bash splits --name=value at the "=".
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $prev == --* && $cur != --* ]]; then
		:
	else
		prev=
	fi
	if [[ $prev == --* ]]; then
		words=$(_vhost_tool_words "$1" "${prev#--}")
	elif [[ $cur == --* ]]; then
		words=$(_vhost_tool_options "$1" | sed 's/=.*/=/')
	elif [[ ${1##*/} == vhost-bench && $COMP_CWORD -eq 1 ]]; then
		words="blk scsi net rng compare"
	fi
	# shellcheck disable=SC2207 # no word has a blank in it
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	# Where nothing else fits, a socket may stand.
	if [[ -z $words ]]; then
		compopt -o default 2>/dev/null
	elif [[ ${COMPREPLY[0]-} == *= ]]; then
		compopt -o nospace 2>/dev/null
	fi
}

complete -F _vhost_tool vhost-probe vhost-bench
