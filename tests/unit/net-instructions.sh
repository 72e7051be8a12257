#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Instructions of a packet, from the ring to the port or back.

. "$(dirname "$0")/lib-instructions.sh"

begin net_steps stepped_run packet
bound 354 tx split 64 20000
bound 398 tx packed 64 20000
bound 317 rx split 64 20000
bound 360 rx packed 64 20000
tap_end
