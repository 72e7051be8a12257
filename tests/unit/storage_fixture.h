/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of storage share: places for images, one channel, waiting. */
#ifndef TESTS_STORAGE_FIXTURE_H
#define TESTS_STORAGE_FIXTURE_H

#include <event2/event.h>

#include "libvhost.h"
#include "storage/storage.h"
#include "tests/tap.h"
#include "util.h"

/* Where an image lives. */
enum fx_place {
	FX_DISK,			/* $TMPDIR, /tmp or the first other place on a disk */
	FX_MEMORY,			/* /dev/shm */
	FX_PLACES
};

#define FX_PATH_MAX	200

/* The main function of such a test program: a directory in each place while the suite runs. */
int fx_main(Suite *suite);

/* Every engine in every cache mode in each place. */
struct fx_way {
	enum fx_place place;
	enum storage_engine engine;
	enum storage_cache cache;
};
#define FX_WAYS		24
#define FX_ENGINE_WAYS	18		/* without those of auto, which come last */
struct fx_way fx_way(int i);
/* Whether it is possible on this machine; what is not was said at the start. */
bool fx_can(struct fx_way way);

/* Say that something cannot be tested here. */
void fx_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The path of this test's image number n, which does not exist yet. */
void fx_path(char path[FX_PATH_MAX], enum fx_place place, unsigned int n);
/* A file of that size, a hole. */
void fx_create(const char *path, uint64_t size);

/* One image with one channel, whose worker is this thread. */
struct fx {
	char path[FX_PATH_MAX];
	struct event_base *base;
	struct vhost_worker *worker;
	struct storage *st;
	struct storage_chan *chan;
};

/* On a new image of that size; params->path is set.  The caller may change it in between. */
void fx_image(struct fx *fx, enum fx_place place, uint64_t size, struct storage_params *params);
/* Open params; must succeed. */
void fx_open(struct fx *fx, const struct storage_params *params);
/* Both, in way i.  False: not possible here. */
bool fx_open_way(struct fx *fx, int i, uint64_t size, struct storage_params *params);
void fx_close(struct fx *fx);

/* Run the loop until something has happened; fails when nothing does for long. */
void fx_step(struct fx *fx);

/* An operation which can be waited for. */
struct fx_op {
	struct storage_io io;
	struct iovec iov;		/* for one buffer */
	struct storage_map map;		/* in sectors, for the runs below */
	struct storage_run runs[8];
	bool ended;
	int err;
};

/* Fill in and submit; buf is for read and write. */
void fx_start(struct fx *fx, struct fx_op *op, enum storage_op kind, unsigned int flags,
	      uint64_t offset, uint64_t len, void *buf);
int fx_wait(struct fx *fx, struct fx_op *op);
/* All at once; the error. */
int fx_do(struct fx *fx, enum storage_op kind, unsigned int flags, uint64_t offset, uint64_t len,
	  void *buf);

/* storage_open() with this must fail with err and a reason that contains text. */
void fx_refused(const struct storage_params *params, int err, const char *text);

/* Pages of zeroes, never given back. */
void *fx_pages(size_t len);

/*
 * A file system of our own in an empty directory; gone with the process, at the latest.
 * False, and said so, if it cannot be had.
 */
bool fx_mount(char dir[FX_PATH_MAX], const char *type, const char *options);
void fx_unmount(const char *dir);

/* The way to a block device: a loop device on the file; false, and said so, if there is none. */
bool fx_loop(char path[FX_PATH_MAX], const char *file, unsigned int block_size);

#endif /* TESTS_STORAGE_FIXTURE_H */
