/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device of the fuzz targets: it offers all that the library has, and distrusts it.
 *
 * What it does with requests is decided by the input.  It checks that each request lies within
 * memory which the library has announced, that the sums are right, and that everything is
 * given back at the end.
 */
#ifndef FUZZ_DEVICE_H
#define FUZZ_DEVICE_H

#include "tests/fuzz/input.h"
#include "tests/stepped.h"

#define FUZZ_QUEUES	3u
#define FUZZ_HELD	64u		/* requests which a queue keeps */
#define FUZZ_REGIONS	1024u
#define FUZZ_CONFIG	20u		/* bytes */

/* Requests which are kept, in the order in which they were taken. */
struct fuzz_held {
	struct vhost_req *req[FUZZ_HELD];
	unsigned int n;
	unsigned int latest;		/* the last so many of them are what was popped last */
};

struct fuzz_device {
	struct stepped s;
	struct input in;
	int fd_count;			/* open fds of the process before all this */
	struct fuzz_held held[FUZZ_QUEUES];
	struct iovec regions[FUZZ_REGIONS];
	unsigned int nregions;
	uint16_t how;			/* FUZZ_HOW_* */
	uint8_t first;			/* the input's first byte, FUZZ_FIRST_* */
	/* called between pop and the work on what was popped; may be NULL */
	void (*meanwhile)(struct fuzz_device *d);
	/* whether the device may be given this memory now; may be NULL */
	bool (*allowed)(const struct fuzz_device *d, const struct iovec *region,
			const struct iovec *iov);
};

/* Of struct fuzz_device.how */
#define FUZZ_HOW_HOLD		(1u << 0)	/* keep requests */
#define FUZZ_HOW_ONE		(1u << 1)	/* pop one at a time */
#define FUZZ_HOW_FLUSH		(1u << 2)	/* flush after each push */
#define FUZZ_HOW_UNPOP		(1u << 3)	/* a stop gives back what was popped last */
#define FUZZ_HOW_REFUSE_START	(1u << 4)
#define FUZZ_HOW_REFUSE_MEM	(1u << 5)
#define FUZZ_HOW_REFUSE		(1u << 6)	/* other callbacks refuse */
#define FUZZ_HOW_ABANDON	(1u << 7)	/* queue_cancel abandons, every other request or all */
#define FUZZ_HOW_ABANDON_ALL	(1u << 8)

/* Bits of an input's first byte; the others are the target's. */
#define FUZZ_FIRST_KICK_DISABLED	(1u << 0)
#define FUZZ_FIRST_IN_ORDER		(1u << 1)

/* Check once more that what is kept may be. */
void fuzz_device_check_held(const struct fuzz_device *d);

/* Create it with this input, ready for a front-end. */
void fuzz_device_start(struct fuzz_device *d, const uint8_t *data, size_t size);

/* One thing that a device does by itself: which and how is decided by the input. */
void fuzz_device_act(struct fuzz_device *d);

/* The end: disconnect, stop, and check that nothing is left. */
void fuzz_device_stop(struct fuzz_device *d);

#endif /* FUZZ_DEVICE_H */
