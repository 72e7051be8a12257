# SPDX-License-Identifier: BSD-3-Clause
# The scripts are used from the source tree, and only distributed.
EXTRA_DIST += \
	scripts/packages \
	scripts/lib.sh \
	scripts/guest-kernel \
	scripts/test \
	scripts/demo
