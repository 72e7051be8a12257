# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion of the daemons' options, as the daemon itself lists them.

_vhost_user()
{
	local cur=${COMP_WORDS[COMP_CWORD]} name= word help

	# Bash takes --name=value apart at the equals sign.
	if [ "$cur" = = ]; then
		name=${COMP_WORDS[COMP_CWORD - 1]}
		cur=
	elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
		name=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $cur == --*=* ]]; then
		name=${cur%%=*}
		cur=${cur#*=}
	fi
	help=$("${COMP_WORDS[0]}" --help 2>/dev/null | grep -o '^  --[a-z-]*=\{0,1\}[^ ]*')
	COMPREPLY=()
	if [ -z "$name" ]; then
		# An option with a value wants an equals sign behind it.
		for word in $help; do
			case $word in
			*=*) word=${word%%=*}= ;;
			*) word="$word " ;;
			esac
			[[ $word == "$cur"* ]] && COMPREPLY+=("$word")
		done
		return
	fi
	for word in $help; do
		case $word in
		"$name=PATH" | "$name=FILE" | "$name="\[*)
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			;;
		"$name="*"|"*)
			mapfile -t COMPREPLY < <(compgen -W "$(tr '|' ' ' <<<"${word#*=}")" -- "$cur")
			;;
		esac
	done
}

complete -o nospace -o filenames -F _vhost_user vhost-user-blk vhost-user-net vhost-user-scsi
