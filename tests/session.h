/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A complete session of a front-end: each message that the device offers is sent at least once.
 *
 * For tests which interrupt it anywhere, so it gives up at the first error and cleans up.
 */
#ifndef TESTS_SESSION_H
#define TESTS_SESSION_H

#include "frontend/frontend.h"

#define SESSION_RINGS	2u
#define SESSION_HELD	7u		/* bytes which such a request's device reads */

struct session_params {
	uint64_t features;		/* wanted, of those offered */
	unsigned int ring_size;
	bool no_ack;			/* send without asking for acknowledgements */
	bool hold;			/* the device keeps requests of SESSION_HELD bytes until
					 * their ring stops: have some outstanding */
	uint64_t gpa, uva, mem_size;	/* of guest memory; uva 0: ours */
};

/* Run it over the connected socket fd.  0, or the first error. */
int session_run(const struct session_params *params, int fd);

#endif /* TESTS_SESSION_H */
