/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model of test_ring_model.c: what it knows, and its driver.
 *
 * Positions are counted from the start of a ring and never wrap here: in chains for a split ring,
 * in descriptors for a packed one.
 */
#ifndef TESTS_UNIT_RING_MODEL_H
#define TESTS_UNIT_RING_MODEL_H

#include <check.h>
#include <inttypes.h>
#include <linux/virtio_config.h>

#include "frontend/ring.h"
#include "tests/stepped.h"

#define F_PACKED	FE_BIT(VIRTIO_F_RING_PACKED)
#define F_EVENT_IDX	FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define F_INDIRECT	FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define F_IN_ORDER	FE_BIT(VIRTIO_F_IN_ORDER)
#define F_BASE		(FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES))

#define SIZE_MAX_	512u
#define SEGMENTS	4u		/* of one direction of a chain */
#define SEGMENT_MAX	40u		/* bytes */
/* So many are written at once, as QUEUE_EARLY says. */
#define MODEL_EARLY	8u
#define CHAIN_BYTES	(SEGMENTS * SEGMENT_MAX)
#define UNTOUCHED	0xee

/* One chain of the driver's; its cookie. */
struct model_chain {
	uint8_t *out, *in;		/* guest memory, CHAIN_BYTES each */
	struct vring_desc *table;	/* guest memory, for mixed chains */
	unsigned int out_len, in_len;	/* bytes */
	unsigned int descs;		/* descriptors in the ring */
	uint8_t pattern;		/* of its bytes */
	struct vhost_req *req;		/* the device has it */
	uint32_t len;			/* pushed with */
	bool pushed;
	bool used;			/* free for the next chain */
};

/* Chains one behind the other. */
struct model_list {
	struct model_chain *chain[2 * SIZE_MAX_];
	unsigned int n;
};

enum model_wish { WISH_ON, WISH_OFF, WISH_EVENT };

struct model {
	struct stepped s;
	struct fe_mem mem;
	struct fe_ring ring;
	unsigned int size;
	uint64_t features, seed, random;
	unsigned int step;
	int fd_count;			/* before all this */

	/* the chains, by where they are */
	struct model_chain chains[SIZE_MAX_];
	struct model_list added, published, popped, done;
	unsigned int latest;		/* the last so many of popped are what was popped last */
	unsigned int pending;		/* the last so many of done are not written yet */
	bool untold;			/* some were written, and nobody was told */
	uint8_t next_pattern;

	/* the driver's wish for signals, and how they are due */
	enum model_wish wish;
	uint64_t event;			/* WISH_EVENT: the position which it waits for */
	uint64_t got;			/* position: what the driver has got back */
	uint64_t used;			/* position: what the device has written */
	uint64_t judged;		/* position: used, when the device judged last */
	bool judged_once;
	unsigned int signals;		/* due and not yet counted */

	/* kicks */
	bool running;
	bool kicked;			/* the device's kick was called since the last asking */
	bool waits;			/* the device came short and was not kicked since */
	bool armed;			/* the device asked for kicks, and has popped nothing since */
	bool disarmed;			/* it has popped since, and the round has not ended */
	uint64_t armed_at;		/* position of the latest asking */
	uint64_t taken;			/* position: popped */
	uint64_t shown;			/* position: published */
	uint64_t told;			/* position: published when the driver decided to kick or not */
	unsigned int stops;		/* calls of queue_stop */
	unsigned int quota;		/* requests which may still be popped in this round */
};

#define model_check(m, cond) \
	((cond) ? (void)0 : ck_abort_msg("seed %" PRIu64 ", size %u, features %#" PRIx64 \
					 ", step %u: not so: %s", (m)->seed, (m)->size, \
					 (m)->features, (m)->step, #cond))

/* A random number below this one. */
uint32_t model_random(struct model *m, uint32_t below);

bool model_packed(const struct model *m);

/* How far a chain moves a position. */
unsigned int model_width(const struct model *m, const struct model_chain *c);

void list_put(struct model_list *l, struct model_chain *c);
struct model_chain *list_take(struct model_list *l, unsigned int i);
void list_put_first(struct model_list *l, struct model_chain *c);

/*
 * Steps of the driver
 */

/* Add a chain of any form, if there is room; enough to use up the queue's share of a round. */
void model_add(struct model *m);
void model_add_many(struct model *m);
void model_publish(struct model *m);

/* Kick if the device wants it. */
void model_decide(struct model *m);

/* Get one chain back, which must be the right one. */
void model_get(struct model *m);

/* Another wish for signals. */
void model_wish(struct model *m);

#endif /* TESTS_UNIT_RING_MODEL_H */
