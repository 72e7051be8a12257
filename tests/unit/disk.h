/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtio-blk device on an image of its own, and a front-end with driver on it.
 *
 * Sector n of a fresh image is filled with disk_pattern(n).  What the device submits to
 * its storage can be watched: spy.
 */
#ifndef TESTS_UNIT_DISK_H
#define TESTS_UNIT_DISK_H

#include <stdatomic.h>

#include "blk/virtio_blk.h"
#include "frontend/fe_blk.h"
#include "libvhost.h"

#define DISK_SECTORS	2048u
#define DISK_RINGS_MAX	4u
#define DISK_DATA_MAX	(64u << 10)	/* bytes of a request */
#define DISK_DEPTH	64u		/* requests of a ring */
#define DISK_RANGES_MAX	128u		/* ranges of a request */

/* What a driver asks for if it has no wishes: all of it. */
#define DISK_FEATURES	(~UINT64_C(0))

/* What a device is to be.  All 0 is a good disk. */
struct disk_params {
	struct storage_params storage;	/* but for path */
	struct virtio_blk_params blk;	/* but for storage */
	uint64_t sectors;		/* size; 0: DISK_SECTORS.  The null engine has no image */
};

struct disk {
	int image;			/* fd; -1: none */
	uint64_t sectors;
	struct storage *storage;
	struct vhost_worker *control, *workers[DISK_RINGS_MAX];
	unsigned int num_workers;
	struct virtio_blk *blk;
	int socket;			/* a second fd of the listening one */
	atomic_uint io_errors;		/* calls of params.io_error */

	/* of a connection */
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring[DISK_RINGS_MAX], *rings[DISK_RINGS_MAX];
	struct fe_blk fb[DISK_RINGS_MAX];
	unsigned int num_rings;
};

/* The device, listening. */
void disk_open(struct disk *d, const struct disk_params *params);
void disk_close(struct disk *d);

/* A front-end comes and chooses of features; it starts n rings; or both; and leaves. */
void disk_greet(struct disk *d, uint64_t features);
void disk_start(struct disk *d, unsigned int n);
void disk_connect(struct disk *d, uint64_t features, unsigned int n);
void disk_disconnect(struct disk *d);

/* Both. */
void disk_up(struct disk *d, const struct disk_params *params, uint64_t features);
void disk_down(struct disk *d);

/*
 * Run one request on ring 0, like the one given but for its memory; data goes there before and
 * comes back afterwards, if it is not NULL.  Returns the status byte.
 */
int disk_run(struct disk *d, const struct fe_blk_req *like, void *data, uint32_t *used_len);

/* Run one request in the usual framing, and check how it ends. */
void disk_expect(struct disk *d, uint32_t type, uint64_t sector, void *data, uint32_t len,
		 int status, uint32_t used_len);

/* Check that a read of sector 2, which nobody must have changed, is good. */
void disk_expect_alive(struct disk *d);

/* The image becomes so long, or is as long as somebody has made it (0); the outcome. */
int disk_resize(struct disk *d, uint64_t size);

/* A range of discard and write zeroes. */
struct disk_range {
	uint64_t sector;
	uint32_t num, flags;
};

/* Ranges as the device reads them; returns their length in bytes. */
uint32_t disk_put_ranges(void *buf, const struct disk_range *ranges, unsigned int n);

/* Run a request of n ranges, and check its status. */
void disk_expect_ranges(struct disk *d, uint32_t type, const struct disk_range *ranges,
			unsigned int n, int status);

/* Malformed requests which the device has met on queue 0. */
uint64_t disk_malformed(struct disk *d);

uint8_t disk_pattern(uint64_t sector);

/* Check that the image's sectors [sector, sector + n) are as at first, or filled with byte. */
void disk_check_old(const struct disk *d, uint64_t sector, uint64_t n);
void disk_check_fill(const struct disk *d, uint64_t sector, uint64_t n, uint8_t byte);

/* Calls of storage_submit() and storage_commit() by the device. */
struct spy {
	atomic_uint flags;		/* of the last operation */
	atomic_uint submits;
	atomic_uint run, run_max;	/* operations since the last commit, and the most of them */
	/* called before the operation; NULL: nothing.  Set while no request is out. */
	_Atomic(void (*)(struct storage_io *io)) hook;
};
extern struct spy spy;

#endif /* TESTS_UNIT_DISK_H */
