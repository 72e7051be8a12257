/* SPDX-License-Identifier: BSD-3-Clause */
/* A split virtqueue which is served wrongly, for bad_backend. */
#ifndef TESTS_TOOLS_BAD_RING_H
#define TESTS_TOOLS_BAD_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "libvhost/spec.h"

/* Whether a mode is one of these, which are listed in bad_backend.c. */
bool bad_ring_serves(const char *mode);

/*
 * A message about memory or rings, with the descriptor which came along, which is the ring's then;
 * -1: none.  One region of memory and one ring are enough for what is tested.
 */
void bad_ring_message(const struct vu_header *hdr, const void *payload, int fd);

/* What to wait for: the kick fd; -1: there is none yet. */
int bad_ring_kick_fd(void);

/* It was kicked: serve what is there as the mode has it.  Whether to go on. */
bool bad_ring_kicked(const char *mode);

/* The connection is gone. */
void bad_ring_reset(void);

#endif /* TESTS_TOOLS_BAD_RING_H */
