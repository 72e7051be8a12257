/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest which means harm: random writes from a second thread, and a table of wrong chains.
 *
 * Nothing here knows what the back-end ought to do about it; that is the test's to say.
 */
#ifndef FRONTEND_FE_CHAOS_H
#define FRONTEND_FE_CHAOS_H

#include <pthread.h>

#include "frontend/frontend.h"

/*
 * Random writes
 */

#define FE_CHAOS_TARGETS	16

/* Bytes which are written to, and how often in comparison with the others. */
struct fe_chaos_target {
	void *ptr;			/* the caller's, aligned to 8 */
	size_t len;			/* bytes, a multiple of 4 */
	unsigned int weight;
};

/* To begin with none: struct fe_chaos chaos = { .seed = 1 }. */
struct fe_chaos {
	uint64_t seed;			/* the same writes in the same order; not 0 */
	unsigned int pause_us;		/* between two writes; 0: as fast as it goes */
	uint64_t max;			/* writes after which it stops by itself; 0: none */
	struct fe_chaos_target targets[FE_CHAOS_TARGETS];
	unsigned int num;		/* of targets */
	unsigned int weights;		/* their sum */
	uint64_t writes;		/* so far, atomic */
	bool stop;			/* atomic */
	bool running;
	pthread_t thread;
};

/*
 * Add bytes of any kind: in-flight region, log, buffers.  Where the length is odd the rest is left
 * alone.  -ENOSPC: there are too many targets.
 */
int fe_chaos_add(struct fe_chaos *chaos, void *ptr, size_t len, unsigned int weight);

/* Add a ring: its three areas, and its indirect tables if it has any. */
int fe_chaos_add_ring(struct fe_chaos *chaos, const struct fe_ring *ring);

/* One write, here and now; what the thread does again and again. */
void fe_chaos_write(struct fe_chaos *chaos);

/*
 * Begin, and end.  The driver's own functions may be used meanwhile from one other thread: they
 * stay within their memory, but return nonsense and -EPROTO.
 */
int fe_chaos_start(struct fe_chaos *chaos);
void fe_chaos_stop(struct fe_chaos *chaos);

/* Wait until there have been so many writes. */
int fe_chaos_wait(const struct fe_chaos *chaos, uint64_t writes, int timeout_ms);

/*
 * Wrong chains
 */

#define FE_MUTATION_SPLIT	(1u << 0)	/* of a split ring */
#define FE_MUTATION_PACKED	(1u << 1)	/* of a packed ring */
#define FE_MUTATION_BOTH	(FE_MUTATION_SPLIT | FE_MUTATION_PACKED)
#define FE_MUTATION_INDIRECT	(1u << 2)	/* needs VIRTIO_RING_F_INDIRECT_DESC */
#define FE_MUTATION_EVENT	(1u << 3)	/* needs VIRTIO_RING_F_EVENT_IDX */
#define FE_MUTATION_LEGAL	(1u << 4)	/* strange, but VIRTIO allows it */

/* The guest memory which a mutation needs for buffers and tables, bytes. */
#define FE_MUTATION_ROOM	8192u

/* The least size of the ring. */
#define FE_MUTATION_RING	8u

/* Something which a guest can do to a ring. */
struct fe_mutation {
	const char *name;
	unsigned int flags;		/* FE_MUTATION_* */
	/*
	 * Do it, and let the device see it; the caller kicks.  The ring is as after fe_ring_init(),
	 * or has been used and is idle.  Chains which the driver knows have the ring as cookie.
	 */
	void (*apply)(struct fe_ring *ring, void *room);
};

/* All there are, and the end of them: for (m = fe_mutations; m->name; m++). */
extern const struct fe_mutation fe_mutations[];

/* The mutation of a name; NULL: there is none. */
const struct fe_mutation *fe_mutation_find(const char *name);

/* Whether the mutation can be applied to a ring: its format and features. */
bool fe_mutation_fits(const struct fe_mutation *m, const struct fe_ring *ring);

#endif /* FRONTEND_FE_CHAOS_H */
