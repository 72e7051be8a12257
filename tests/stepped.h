/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device and its front-end on one thread, for fuzzers and model tests.
 *
 * The device lives on a worker in an event_base of the caller's and moves only within
 * stepped_run(), which returns when it has nothing more to do.  So what the front-end sends, and
 * what it writes to the rings, meets the device in an order which the caller chooses, and a run
 * can be repeated.  Nothing waits: the front-end must not ask for acknowledgements, and reads
 * a reply only after a run.  What cannot fail in a healthy process ends it by abort().
 */
#ifndef TESTS_STEPPED_H
#define TESTS_STEPPED_H

#include <sys/socket.h>
#include <sys/un.h>

#include "frontend/frontend.h"
#include "libvhost.h"

struct event_base;

struct stepped {
	struct event_base *base;
	struct vhost_worker *worker;	/* control worker and all queues' */
	struct vhost_dev *dev;
	struct fe fe;			/* connected by stepped_connect() */
	struct sockaddr_un addr;	/* where the device listens: an abstract name of the kernel's */
	socklen_t addr_len;
	bool stopped;			/* vhost_dev_stop() is done */
};

/* End the process, because the library did what it must not. */
#define stepped_check(cond) \
	((cond) ? (void)0 : stepped_failed(__FILE__, __LINE__, #cond))
void stepped_failed(const char *file, int line, const char *what) __attribute__((noreturn));

/* Base, worker, device which listens. */
void stepped_start(struct stepped *s, const struct vhost_dev_ops *ops,
		   const struct vhost_dev_params *params, void *opaque);

/* The same in steps, for a device which somebody else makes and frees. */
void stepped_open(struct stepped *s);
void stepped_serve(struct stepped *s, struct vhost_dev *dev);

/* A connection, which the device has taken if the previous one has ended. */
void stepped_connect(struct stepped *s);

/* Let the device work until it is idle; or for one turn of its loop. */
void stepped_run(struct stepped *s);
void stepped_turn(struct stepped *s);

/* Disconnect, stop the device and free all. */
void stepped_stop(struct stepped *s);
/* The same in steps: the device is left, which may wait for threads; all the rest. */
void stepped_halt(struct stepped *s);
void stepped_close(struct stepped *s);

/* Whether we were compiled such that it makes sense to count instructions. */
bool stepped_is_optimized(void);

/* How many fds of this process are open, of the first STEPPED_FDS: by one system call. */
#define STEPPED_FDS 1024
int stepped_count_fds(void);

#endif /* TESTS_STEPPED_H */
