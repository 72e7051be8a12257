/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of the front-end library: a peer at the other end of its socket, byte by byte.
 *
 * It writes its answers beforehand, and reads what it was asked afterwards; so nobody waits for
 * anybody.
 */
#ifndef TESTS_UNIT_FRONTEND_PEER_H
#define TESTS_UNIT_FRONTEND_PEER_H

#include "frontend.h"

/* Long enough for what is there already, short enough to wait for what must not come. */
#define SHORT_MS	10

extern struct fe fe;			/* the one that is tested */
extern struct fe be;			/* the other end of its socket */

/* Fixtures: the pair; and that no fd has been lost. */
void peer_setup(void);
void peer_teardown(void);

/* Open fds of this process. */
int count_fds(void);

/* The back-end's answer. */
void answer(uint32_t request, uint32_t flags, const void *payload, uint32_t size);
void answer_u64(uint32_t request, uint64_t value);
/* The same with correct flags and fds. */
void answer_fds(uint32_t request, const void *payload, uint32_t size, const int *fds,
		unsigned int nfds);

/* What the back-end was asked.  The payload is in the result, with zeroes behind it. */
const struct fe_msg *asked(uint32_t request, uint32_t flags, uint32_t size, unsigned int nfds);
void asked_nothing(void);

/* The same with the payload as words of 32 bits. */
void asked_words(uint32_t request, unsigned int num, const uint32_t *words);

#define ASKED(request, ...) \
	asked_words(request, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })

#endif /* TESTS_UNIT_FRONTEND_PEER_H */
