/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtio-scsi device with units on images of their own, and a front-end with driver on it.
 *
 * Sector n of a fresh image is filled with world_pattern(unit, n).  A gate before the storage
 * keeps operations back, so that commands are in work as long as a test wants.
 */
#ifndef TESTS_UNIT_SCSI_WORLD_H
#define TESTS_UNIT_SCSI_WORLD_H

#include <stdatomic.h>

#include "frontend/fe_scsi.h"
#include "libvhost.h"
#include "scsi/virtio_scsi.h"

#define WORLD_SECTORS	2048u
#define WORLD_SECTOR	512u
#define WORLD_RINGS_MAX	4u		/* request queues */
#define WORLD_UNITS_MAX	8u
#define WORLD_DATA_MAX	(64u << 10)	/* bytes of a request, in each direction */
#define WORLD_DEPTH	64u		/* requests of a ring */
#define WORLD_EVENTS	8u		/* buffers for events */

/* What a driver asks for if it has no wishes: all, but packed rings. */
#define WORLD_FEATURES	(~FE_BIT(VIRTIO_F_RING_PACKED))

/* What a device is to be.  Units end with one whose sectors are 0. */
struct world_unit {
	uint8_t target;
	uint16_t lun;
	unsigned int sectors;
	bool read_only, cdrom;
};

struct world_params {
	struct world_unit units[WORLD_UNITS_MAX];
	struct virtio_scsi_params scsi;	/* but for control, workers */
	unsigned int workers;		/* for request queues; 0: the control worker */
};

struct world {
	struct vhost_worker *control, *workers[WORLD_RINGS_MAX];
	unsigned int num_workers;
	struct virtio_scsi *scsi;
	struct storage *storage[WORLD_UNITS_MAX];
	int image[WORLD_UNITS_MAX];	/* fds */
	unsigned int num_units;
	int socket;			/* a second fd of the listening one */

	/* of a connection */
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring control_ring, event_ring, ring[WORLD_RINGS_MAX];
	struct fe_ring *rings[2 + WORLD_RINGS_MAX];
	unsigned int num_rings;		/* of request queues */
	struct fe_scsi fs[WORLD_RINGS_MAX];
	struct fe_scsi_ctrl ctrl[4];
	struct virtio_scsi_event *events;	/* [WORLD_EVENTS], guest memory */
};

/* The device, listening. */
void world_open(struct world *w, const struct world_params *params);
void world_close(struct world *w);

/* A front-end comes and chooses of features; it starts n request rings; or both; and leaves. */
void world_greet(struct world *w, uint64_t features);
void world_start(struct world *w, unsigned int n);
void world_connect(struct world *w, uint64_t features, unsigned int n);
void world_disconnect(struct world *w);

/* Both, and the units' attentions are taken. */
void world_up(struct world *w, const struct world_params *params, uint64_t features);
void world_down(struct world *w);

/* A unit comes, with the next image, or goes while the device works; all is done then. */
void world_add(struct world *w, const struct world_unit *unit);
int world_remove(struct world *w, uint8_t target, uint16_t lun);

/*
 * A request for a unit with this CDB on ring i, to be completed and submitted; put back by
 * fe_scsi_put().
 */
struct fe_scsi_req *world_req(struct world *w, unsigned int ring, uint8_t target, uint16_t lun,
			      const uint8_t *cdb, size_t cdb_len);
/* READ (10) and WRITE (10), with room or data for all blocks. */
struct fe_scsi_req *world_read(struct world *w, unsigned int ring, uint8_t target, uint16_t lun,
			       uint32_t lba, uint16_t blocks);
struct fe_scsi_req *world_write(struct world *w, unsigned int ring, uint8_t target, uint16_t lun,
				uint32_t lba, uint16_t blocks, uint8_t byte);

/* TEST UNIT READY: status << 16 | ASC << 8 | ASCQ of fixed sense data, or -1 - response. */
int world_test(struct world *w, uint8_t target, uint16_t lun);
/* Take what attentions a unit has; which were they? */
unsigned int world_take_attentions(struct world *w, uint8_t target, uint16_t lun, uint16_t *codes,
				   unsigned int max);

/* A request comes back on ring i, and is this one; its response and status are these. */
void world_reap(struct world *w, unsigned int ring, const struct fe_scsi_req *req,
		uint8_t response, uint8_t status);

/* Check that a unit reads well from ring i. */
void world_expect_alive(struct world *w, unsigned int ring, uint8_t target, uint16_t lun,
			unsigned int unit);

/* Give the device n buffers for events, or the one with number i; it has taken them then. */
void world_put_events(struct world *w, unsigned int n);
void world_put_event(struct world *w, unsigned int i, size_t len);
/* The next event, within the usual time. */
struct virtio_scsi_event world_get_event(struct world *w);

uint8_t world_pattern(unsigned int unit, uint64_t sector);
/* Check that the image's sectors are filled with byte. */
void world_check_fill(const struct world *w, unsigned int unit, uint64_t sector, uint64_t n,
		      uint8_t byte);

/* Tell the device that the size of a unit's storage has changed. */
void world_resized(struct world *w, uint8_t target, uint16_t lun);

/* The image of a unit becomes so long, or is as long as somebody has made it (0); the outcome. */
int world_resize(struct world *w, uint8_t target, uint16_t lun, uint64_t size);

/* Malformed requests which virtqueue q has met. */
uint64_t world_malformed(struct world *w, unsigned int q);

/*
 * Keep operations on their way to the storage back; wait until n are; how many are; let these
 * go and keep further ones; let all go.
 */
void gate_close(void);
void gate_wait(unsigned int n);
unsigned int gate_count(void);
void gate_pass(struct world *w);
void gate_open(struct world *w);

/* Calls of storage_commit(). */
extern atomic_uint world_commits;

#endif /* TESTS_UNIT_SCSI_WORLD_H */
