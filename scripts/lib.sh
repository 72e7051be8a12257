# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the scripts share: the package list, the build, and messages.

scripts_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$scripts_dir")

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The packages of the named groups of scripts/packages; of all groups if none is named.
packages()
{
	awk -v want=" $* " '
		/^# [a-z]+: /	{ group = substr($2, 1, length($2) - 1); next }
		/^#/ || !NF	{ next }
		want == "  " || index(want, " " group " ")	{ print $1 }
	' "$scripts_dir/packages"
}

# Those of the named packages which are not installed.
missing_packages()
{
	local name

	for name; do
		case " $(dpkg-query -W -f '${db:Status-Status} ' "$name" 2>/dev/null)" in
		*' installed '*) ;;
		*) echo "$name" ;;
		esac
	done
}

# Run apt-get without questions; it says nothing unless it fails.
apt_quietly()
{
	local out

	if ! out=$(DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null 2>&1); then
		printf '%s\n' "$out" | tail -n 30 >&2
		return 1
	fi
}

# Install what is missing from the named groups; the network is touched only if something is.
install_missing()
{
	local names missing

	mapfile -t names < <(packages "$@")
	mapfile -t missing < <(missing_packages "${names[@]}")
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" -eq 0 ] || die "these packages are missing, and only root can install them: ${missing[*]}"
	echo "installing ${missing[*]}"
	apt_quietly update && apt_quietly install --no-install-recommends "${missing[@]}"
}

# Generate the build system; afterwards make itself keeps it up to date.
bootstrap()
{
	if [ ! -x "$top/configure" ] || [ ! -e "$top/Makefile.in" ]; then
		(cd "$top" && autoreconf -fi)
	fi
}

# configure_in DIR ARG...: configure DIR, if that has not been done.
configure_in()
{
	local dir=$1

	shift
	[ -e "$dir/Makefile" ] || (mkdir -p "$dir" && cd "$dir" && "$top/configure" "$@")
}
