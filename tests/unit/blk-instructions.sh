#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Instructions of a read of 4 KiB from a disk without an image, from the ring to the ring.

. "$(dirname "$0")/lib-instructions.sh"

begin blk_steps stepped_run request
bound 930 split indirect poll 32 20000
bound 980 packed indirect poll 32 20000
bound 1015 split direct poll 32 20000
bound 1220 packed direct poll 32 20000
bound 2580 split indirect poll 1 20000
tap_end
