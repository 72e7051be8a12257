# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# Data that guests write and the host recognises: the same functions on both sides.

# pattern SEED BYTES: text in which every 32 bytes tell where they belong.
pattern()
{
	awk -v seed="$1" -v bytes="$2" 'BEGIN {
		for (i = 0; i * 32 < bytes; i++)
			printf "%-20.20s%011d\n", seed, i
	}' | head -c "$2"
}

sum()
{
	sha256sum | cut -d' ' -f1
}
