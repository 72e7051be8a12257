/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: a driver of the virtio-scsi device, after a proper handshake.
 *
 * Control, event and two request queues, on units of several targets, each with an image of its
 * own.  The input mixes whole commands, task management functions and buffers for events with
 * descriptors of any kind, bytes written over requests which the device has in hand, units which
 * come, go and change their size, queues which stop and start, and turns of the worker.
 *
 * A command to a unit gets the unit attention of power on, unless it asks only what there is.  So
 * as long as a unit has this attention, nobody has told it to change its blocks, and they must
 * be as at first, whatever the others have been told.
 */
#include <event2/event.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/fe_scsi.h"
#include "libvhost/internal.h"
#include "scsi/target.h"
#include "scsi/virtio_scsi.h"
#include "tests/fuzz/input.h"
#include "tests/stepped.h"

#define RINGS		4u
#define RING_SIZE	16u
#define UNITS		4u
#define IMAGE		(64u << 10)	/* bytes */
#define GPA		0x100000u
#define MEMORY		(1u << 20)	/* bytes of guest memory, rings included */
#define SLOTS		8u		/* of requests, in guest memory */
#define SLOT		32768u
#define ANSWER		16384u		/* where in a slot the device writes */

/* Units 0 and 1 have lost their unit attention before the input begins. */
static const struct fuzz_unit {
	struct scsi_address address;
	unsigned int block_size;
	bool cdrom;
} units[UNITS] = {
	{ .address = { .target = 0, .lun = 0 } },
	{ .address = { .target = 2, .lun = 5 }, .block_size = 4096 },
	{ .address = { .target = 0, .lun = 300 } },
	{ .address = { .target = 2, .lun = 0 }, .cdrom = true },
};

struct vscsi {
	struct stepped s;
	struct input in;
	struct virtio_scsi *dev;
	struct fe_mem mem;
	struct fe_ring ring[RINGS];
	uint8_t *slots;			/* [SLOTS * SLOT], guest memory */
	unsigned int next;		/* slot */
	bool packed;
	bool told[UNITS];		/* the unit may have been told to change its blocks */
};

static struct vscsi vscsi;
/* From input to input; each begins with images of the same size and content. */
static struct storage *storages[UNITS];
static int images[UNITS];

static struct scsi_target *vscsi_target(const struct vscsi *v)
{
	return virtio_scsi_target(v->dev);
}

static struct scsi_lun *vscsi_lun(const struct vscsi *v, unsigned int i)
{
	return scsi_table_find(&vscsi_target(v)->luns, scsi_address_key(&units[i].address));
}

/*
 * Images
 */

static void image_fill(unsigned int i)
{
	uint8_t buf[IMAGE];

	memset(buf, (int)(0xa0 + i), sizeof(buf));
	stepped_check(!ftruncate(images[i], IMAGE));
	stepped_check(pwrite(images[i], buf, sizeof(buf), 0) == sizeof(buf));
}

static void image_check(unsigned int i)
{
	uint8_t buf[IMAGE];
	unsigned int k;

	stepped_check(pread(images[i], buf, sizeof(buf), 0) == sizeof(buf));
	for (k = 0; k < IMAGE; k++)
		stepped_check(buf[k] == 0xa0 + i);
}

static void image_open(unsigned int i)
{
	struct storage_params params = { .threads = 1, .engine = STORAGE_ENGINE_THREADS };
	char path[64], why[200];

	images[i] = memfd_create("image", MFD_CLOEXEC);
	stepped_check(images[i] >= 0 && !ftruncate(images[i], IMAGE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", images[i]);
	params.path = path;
	stepped_check(!storage_open(&storages[i], &params, why, sizeof(why)));
}

/* Without channels it is done at once. */
static void image_reset(struct vscsi *v, unsigned int i)
{
	const struct storage_resize how = { .size = IMAGE, .control = v->s.worker };
	char why[200];

	if (!storages[i])
		image_open(i);
	image_fill(i);
	stepped_check(!storage_resize(storages[i], &how, why, sizeof(why)));
}

/*
 * Units
 */

static void unit_add(struct vscsi *v, unsigned int i)
{
	const struct scsi_lun_params params = {
		.address = units[i].address, .storage = storages[i],
		.block_size = units[i].block_size, .cdrom = units[i].cdrom,
	};
	char why[200];

	scsi_lun_add(vscsi_target(v), &params, why, sizeof(why));
}

/* Whether somebody has taken the attention of power on. */
static void unit_note(struct vscsi *v, unsigned int i)
{
	const struct scsi_lun *lun = vscsi_lun(v, i);

	v->told[i] |= !lun || !atomic_load(&lun->attentions) || lun->attention[0] != 0x2901;
}

static void unit_step(struct vscsi *v)
{
	const uint8_t what = input_u8(&v->in);
	const unsigned int i = what % UNITS;
	const struct storage_resize how = {
		.size = (1 + input_u8(&v->in) % 32) * UINT64_C(4096), .control = v->s.worker,
	};
	char why[200];

	unit_note(v, i);
	switch (what / UNITS % 4) {
	case 0:
		scsi_lun_remove(vscsi_target(v), &units[i].address, NULL, NULL);
		/* Another one may come in its place, before anybody looks. */
		v->told[i] = true;
		break;
	case 1:
		unit_add(v, i);
		break;
	case 2:
		scsi_lun_resized(vscsi_target(v), &units[i].address);
		break;
	default:
		v->told[i] = true;
		scsi_lun_resize(vscsi_target(v), &units[i].address, &how, why, sizeof(why));
	}
}

/*
 * Requests
 */

static struct fe_ring *vscsi_ring(struct vscsi *v)
{
	return &v->ring[input_u8(&v->in) % RINGS];
}

static uint8_t *vscsi_slot(struct vscsi *v)
{
	return v->slots + v->next++ % SLOTS * SLOT;
}

/* One of the units, mostly; or any bytes. */
static void vscsi_address(struct vscsi *v, uint8_t lun[8])
{
	const uint8_t which = input_u8(&v->in);
	const struct scsi_address *a = &units[which % UNITS].address;

	if (which & 0x80)
		input_bytes(&v->in, lun, 8);
	else if (which & 0x40)
		memcpy(lun, "\xc1\x01\0\0\0\0\0", 8);
	else
		fe_scsi_lun(lun, a->target, (uint16_t)(a->lun + (which >> 4 & 3)));
}

/* Cut n bytes at two places; returns the number of pieces. */
static unsigned int vscsi_cut(struct vscsi *v, struct iovec iov[3], uint8_t *p, size_t n)
{
	const size_t a = MIN(input_u8(&v->in), n), b = MIN(input_u8(&v->in), n - a);
	const struct iovec all[3] = { { p, a }, { p + a, b }, { p + a + b, n - a - b } };
	unsigned int i, cnt = 0;

	for (i = 0; i < 3; i++)
		if (all[i].iov_len)
			iov[cnt++] = all[i];
	return cnt;
}

static void vscsi_put(struct vscsi *v, struct fe_ring *ring, uint8_t *slot, size_t out, size_t in)
{
	struct iovec iov_out[3], iov_in[3];
	unsigned int out_cnt = vscsi_cut(v, iov_out, slot, out);
	unsigned int in_cnt = vscsi_cut(v, iov_in, slot + ANSWER, in);

	fe_ring_add(ring, iov_out, out_cnt, iov_in, in_cnt, v);
	fe_ring_submit(ring);
}

/* A whole command, with up to eight kilobytes of data each way. */
static void vscsi_command(struct vscsi *v)
{
	struct fe_ring *ring = &v->ring[2 + input_u8(&v->in) % 2];
	uint8_t *slot = vscsi_slot(v);
	const uint8_t how = input_u8(&v->in);
	struct virtio_scsi_cmd_req head = {
		.tag = input_u8(&v->in) % 8, .task_attr = how & 8 ? how >> 4 & 3 : 0,
	};
	const size_t out = input_u8(&v->in) * 32u, in = input_u8(&v->in) * 32u;

	vscsi_address(v, head.lun);
	input_bytes(&v->in, head.cdb, 6u + (how & 3) * 4);
	memcpy(slot, &head, sizeof(head));
	input_bytes(&v->in, slot + sizeof(head), MIN(out, 64u));
	vscsi_put(v, ring, slot, sizeof(head) + out, sizeof(struct virtio_scsi_cmd_resp) + in);
}

static void vscsi_control(struct vscsi *v)
{
	uint8_t *slot = vscsi_slot(v);
	struct virtio_scsi_ctrl_tmf_req head = {
		.type = input_u8(&v->in) % 4, .subtype = input_u8(&v->in) % 10,
		.tag = input_u8(&v->in) % 8,
	};

	vscsi_address(v, head.lun);
	memcpy(slot, &head, sizeof(head));
	vscsi_put(v, &v->ring[0], slot, input_u8(&v->in) % 40, input_u8(&v->in) % 16);
}

static void vscsi_event(struct vscsi *v)
{
	vscsi_put(v, &v->ring[1], vscsi_slot(v), 0, input_u8(&v->in) % 32);
}

/* Descriptors which are what they are. */
static void vscsi_raw(struct vscsi *v)
{
	struct fe_ring *ring = vscsi_ring(v);
	unsigned int n = 1 + input_u8(&v->in) % 4, i;
	struct fe_raw_packed packed[4];
	struct fe_raw_desc split[4];

	for (i = 0; i < n; i++) {
		const uint16_t flags = input_u8(&v->in) & 7, next = input_u8(&v->in);
		const uint64_t addr = GPA + input_u32(&v->in) % (MEMORY + 4096);
		const uint32_t len = input_u16(&v->in);

		packed[i] = (struct fe_raw_packed){ addr, len, next % RING_SIZE, flags };
		split[i] = (struct fe_raw_desc){ next % RING_SIZE, flags, next >> 4, len, addr };
	}
	if (v->packed)
		fe_packed_add_raw(ring, packed, n, v);
	else
		fe_split_add_raw(ring, split, n, v);
	fe_ring_submit(ring);
}

/* Over rings, headers, data: whatever lies there. */
static void vscsi_scribble(struct vscsi *v)
{
	uint8_t *p = v->mem.regions[0].ptr, buf[32];
	const uint32_t at = input_u32(&v->in) % (MEMORY - sizeof(buf));

	memcpy(p + at, buf, input_bytes(&v->in, buf, input_u8(&v->in) % sizeof(buf)));
}

static void vscsi_get(struct vscsi *v)
{
	struct fe_ring *ring = vscsi_ring(v);
	unsigned int n = RING_SIZE;
	uint32_t len;
	void *cookie;

	while (n-- && fe_ring_get(ring, &cookie, &len) > 0)
		;
}

static void vscsi_message(struct vscsi *v)
{
	struct fe_ring *ring = vscsi_ring(v);
	const uint8_t how = input_u8(&v->in);
	uint32_t sizes[2] = { input_u16(&v->in), input_u16(&v->in) };

	switch (how % 4) {
	case 0:
		fe_request(&v->s.fe, VU_GET_VRING_BASE, &(struct vu_vring_state){ ring->index, 0 },
			   sizeof(struct vu_vring_state), NULL, 0);
		break;
	case 1:
		fe_start_ring(&v->s.fe, ring);
		fe_set_vring_enable(&v->s.fe, ring->index, 1);
		break;
	case 2:
		fe_set_config(&v->s.fe, offsetof(struct virtio_scsi_config, sense_size), sizes,
			      how & 4 ? 8 : 4, VU_CONFIG_WRITABLE);
		break;
	default:
		fe_set_vring_enable(&v->s.fe, ring->index, how >> 2 & 1);
	}
}

static void vscsi_step(struct vscsi *v)
{
	switch (input_u8(&v->in) % 12) {
	case 0:
		stepped_turn(&v->s);
		break;
	case 1:
		stepped_run(&v->s);
		break;
	case 2:
		vscsi_control(v);
		break;
	case 3:
		vscsi_event(v);
		break;
	case 4:
		vscsi_raw(v);
		break;
	case 5:
		vscsi_scribble(v);
		break;
	case 6:
		vscsi_get(v);
		break;
	case 7:
		vscsi_message(v);
		break;
	case 8:
		unit_step(v);
		break;
	default:
		vscsi_command(v);
	}
}

/*
 * Life
 */

/* A driver which has gone, because of a bad message, leaves units as after power on. */
static void vscsi_connection(void *arg, bool up)
{
	struct vscsi *v = arg;

	if (!up)
		memset(v->told, true, sizeof(v->told));
}

static void vscsi_new(struct vscsi *v)
{
	const struct virtio_scsi_params params = {
		.name = "fuzz", .control = v->s.worker, .queues = RINGS - 2,
		.arg = v, .connection = vscsi_connection,
	};
	unsigned int i;

	stepped_check(!virtio_scsi_new(&v->dev, &params));
	stepped_serve(&v->s, virtio_scsi_dev(v->dev));
	for (i = 0; i < UNITS; i++) {
		image_reset(v, i);
		unit_add(v, i);
	}
}

static void vscsi_start(struct vscsi *v)
{
	const uint8_t how = input_u8(&v->in);
	uint64_t wanted = FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1) |
			  FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | FE_BIT(VIRTIO_SCSI_F_HOTPLUG) |
			  FE_BIT(VIRTIO_SCSI_F_CHANGE);
	struct fe_ring *rings[RINGS];
	unsigned int i;

	wanted |= (how & 1 ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) |
		  (how & 2 ? FE_BIT(VIRTIO_RING_F_EVENT_IDX) : 0) |
		  (how & 4 ? FE_BIT(VIRTIO_SCSI_F_INOUT) : 0);
	v->s.fe.features = wanted & dev_features_offered(v->s.dev);
	v->packed = v->s.fe.features & FE_BIT(VIRTIO_F_RING_PACKED);
	fe_set_protocol_features(&v->s.fe, FE_BIT(VU_PROTOCOL_F_CONFIG) | FE_BIT(VU_PROTOCOL_F_MQ));
	fe_set_features(&v->s.fe, v->s.fe.features);
	stepped_check(!fe_mem_init(&v->mem, GPA, MEMORY));
	for (i = 0; i < RINGS; i++) {
		const struct fe_ring_params params = {
			.index = i, .features = v->s.fe.features, .size = RING_SIZE,
			.indirect = how & 8 && i >= 2 ? 6 : 0,
		};

		stepped_check(!fe_ring_init(&v->ring[i], &v->mem, &params));
		rings[i] = &v->ring[i];
	}
	v->slots = fe_mem_alloc(&v->mem, (size_t)SLOTS * SLOT, 4096);
	stepped_check(v->slots);
	fe_start_mem(&v->s.fe, &v->mem);
	for (i = 0; i < RINGS; i++) {
		fe_start_ring(&v->s.fe, rings[i]);
		fe_set_vring_enable(&v->s.fe, i, 1);
	}
	stepped_run(&v->s);
	for (i = 0; i < 2; i++) {
		scsi_lun_forget_attentions(vscsi_lun(v, i));
		v->told[i] = true;
	}
}

static void vscsi_end(struct vscsi *v)
{
	unsigned int i;

	stepped_run(&v->s);
	for (i = 0; i < UNITS; i++) {
		unit_note(v, i);
		if (!v->told[i])
			image_check(i);
	}
	stepped_halt(&v->s);
	for (i = 0; i < RINGS; i++)
		fe_ring_free(&v->ring[i]);
	fe_mem_free(&v->mem);
	virtio_scsi_free(v->dev);
	stepped_close(&v->s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vscsi *v = &vscsi;

	*v = (struct vscsi){ .in = { data, size } };
	stepped_open(&v->s);
	vscsi_new(v);
	stepped_connect(&v->s);
	vscsi_start(v);
	while (v->in.left)
		vscsi_step(v);
	vscsi_end(v);
	return 0;
}
