#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Instructions of a packet, from the ring to the port or back.

. "$(dirname "$0")/lib-instructions.sh"

begin net_steps stepped_run packet
bound 365 tx split 64 20000
bound 430 tx packed 64 20000
bound 520 rx split 64 20000
bound 585 rx packed 64 20000
tap_end
