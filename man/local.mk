# SPDX-License-Identifier: BSD-3-Clause
# Manual pages.
man1_MANS += man/vhost-user-blk.1
EXTRA_DIST += man/vhost-user-blk.1
