/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: a driver which writes to its rings what it likes, after a proper handshake.
 *
 * Two rings of either format, in memory of two regions which touch.  The input mixes what a
 * driver does with what none should, kicks, turns of the worker, and stops and starts.  Some of it
 * happens between the device's taking a request and its looking at it.  If the input wants so,
 * the rings begin with in-flight memory whose contents are the input's too.
 *
 * Behind an IOMMU, translations come and go while the rings run, and the device's questions are
 * answered late, wrongly or never.  What the device is given must be translated: from the update
 * on which says so, until the answer to the invalidation.  With the dirty log, each page
 * which changes while the device runs must be in it.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/fe_iommu.h"
#include "frontend/fe_migrate.h"
#include "libvhost/internal.h"
#include "tests/fuzz/device.h"

#define RINGS		2u
#define PAGE		4096u
#define REGION		(16u * PAGE)	/* region 0; region 1 has a page more, by which it is known */
#define PAGES		33u		/* of both */
#define GPA		0x100000u
#define UVA		0x40000000u
#define INFLIGHT_LEN	8192u		/* bytes, enough for RINGS rings of 64 entries */

struct rings {
	struct fuzz_device d;
	struct fe_mem mem;
	struct fe_ring ring[RINGS];
	bool packed;
	bool meanwhile;			/* the next byte of the input is for rings_meanwhile() */

	bool with_iommu;		/* addresses are translated, each to itself */
	struct fe_iommu iommu;
	bool valid[PAGES];		/* there may be a translation */
	bool going[PAGES];		/* until the answer to an invalidation */
	unsigned int updates;		/* not answered yet; all of them before the invalidation */
	bool invalidating;

	bool with_log;
	struct fe_log log;
	uint8_t before[PAGES * PAGE];	/* memory, when we wrote to it last */
	bool changed[PAGES];		/* since then, by the device */
};

/* Of the input's first byte */
#define FIRST_IOMMU	(1u << 2)
#define FIRST_LOG	(1u << 3)

static struct rings rings;

static struct fe_ring *rings_ring(struct rings *r)
{
	return &r->ring[input_u8(&r->d.in) % RINGS];
}

/*
 * What the driver writes
 */

/* Somewhere in memory, also beyond a region's end. */
static uint64_t rings_addr(struct rings *r)
{
	uint32_t v = input_u32(&r->d.in);

	return v & 0x80000000 ? (uint64_t)v << 33 : GPA + v % (PAGES * PAGE + 64);
}

static uint32_t rings_len(struct rings *r)
{
	uint8_t v = input_u8(&r->d.in);

	return v == 0xff ? input_u32(&r->d.in) : v & 0x80 ? (v & 0x7fu) * 4096 : v * 4u;
}

static void rings_scribble(struct rings *r)
{
	struct fe_ring *ring = rings_ring(r);
	uint8_t *areas[4] = { ring->desc_area, ring->driver_area, ring->device_area,
			      r->mem.regions[1].ptr };
	uint8_t *to = areas[input_u8(&r->d.in) % 4], buf[32];
	uint8_t at = input_u8(&r->d.in), n = input_u8(&r->d.in) % sizeof(buf);

	n = (uint8_t)input_bytes(&r->d.in, buf, n);
	memcpy(to + at, buf, n);
}

static void rings_set_desc(struct rings *r, struct fe_ring *ring)
{
	uint16_t slot = input_u8(&r->d.in) % ring->size, flags = input_u8(&r->d.in);
	uint16_t next = input_u8(&r->d.in);
	uint64_t addr = rings_addr(r);
	uint32_t len = rings_len(r);

	if (r->packed)
		fe_packed_set_desc(ring, slot, &(struct fe_raw_packed){
			addr, len, next, (uint16_t)((flags & 0x87) | (flags & 0x40) << 9) });
	else
		fe_split_set_desc(ring, &(struct fe_raw_desc){ slot, flags, next, len, addr });
}

/* An available chain of up to three descriptors. */
static void rings_add_raw(struct rings *r, struct fe_ring *ring)
{
	unsigned int n = 1 + input_u8(&r->d.in) % 3, i;
	struct fe_raw_packed packed[3];
	struct fe_raw_desc split[3];

	for (i = 0; i < n; i++) {
		uint16_t flags = input_u8(&r->d.in) & 7, next = input_u8(&r->d.in);
		uint64_t addr = rings_addr(r);
		uint32_t len = rings_len(r);

		packed[i] = (struct fe_raw_packed){ addr, len, next % ring->size, flags };
		split[i] = (struct fe_raw_desc){ next % ring->size, flags, next >> 4, len, addr };
	}
	if (r->packed)
		fe_packed_add_raw(ring, packed, n, ring);
	else
		fe_split_add_raw(ring, split, n, ring);
}

static void rings_add(struct rings *r, struct fe_ring *ring)
{
	uint8_t n = input_u8(&r->d.in);
	struct iovec iov[16];
	unsigned int i;

	for (i = 0; i < (n & 15u); i++) {
		uint32_t at = input_u8(&r->d.in) * 256u;

		iov[i] = (struct iovec){ r->mem.regions[i & 1].ptr + at, rings_len(r) % 256 };
	}
	fe_ring_add(ring, iov, MIN(n >> 4, n & 15u), iov + MIN(n >> 4, n & 15u),
		    (n & 15u) - MIN(n >> 4, n & 15u), ring);
}

/* Indices and events. */
static void rings_words(struct rings *r, struct fe_ring *ring)
{
	uint8_t what = input_u8(&r->d.in);
	uint16_t v = input_u16(&r->d.in);

	if (r->packed) {
		fe_packed_set_driver_event(ring, v, what & 3);
		return;
	}
	if (what % 5 == 0)
		fe_split_set_avail_idx(ring, v);
	else if (what % 5 == 1)
		fe_split_set_avail_idx(ring, (uint16_t)(ring->split.published + v % 4));
	else if (what % 5 == 2)
		fe_split_set_used_event(ring, v);
	else if (what % 5 == 3)
		fe_split_set_avail_flags(ring, v);
	else
		fe_split_add_head(ring, v);
}

static void rings_drive(struct rings *r, uint8_t what)
{
	struct fe_ring *ring = rings_ring(r);

	switch (what % 6) {
	case 0:
		rings_scribble(r);
		break;
	case 1:
		rings_set_desc(r, ring);
		break;
	case 2:
		rings_add_raw(r, ring);
		break;
	case 3:
		rings_add(r, ring);
		break;
	case 4:
		rings_words(r, ring);
		break;
	default:
		fe_ring_publish(ring);
	}
}

/*
 * The dirty log
 */

static uint8_t *rings_page(struct rings *r, unsigned int page)
{
	return page < REGION / PAGE ? r->mem.regions[0].ptr + page * PAGE :
				      r->mem.regions[1].ptr + page * PAGE - REGION;
}

/* Note what the device has changed. */
static void rings_log_look(struct rings *r)
{
	unsigned int i;

	for (i = 0; r->with_log && i < PAGES; i++)
		r->changed[i] |= memcmp(r->before + i * PAGE, rings_page(r, i), PAGE) != 0;
}

/* From now on all changes are the device's. */
static void rings_log_begin(struct rings *r)
{
	unsigned int i;

	for (i = 0; r->with_log && i < PAGES; i++)
		memcpy(r->before + i * PAGE, rings_page(r, i), PAGE);
}

/* The device is idle: what it has changed is in the log. */
static void rings_log_check(struct rings *r)
{
	unsigned int i;

	if (!r->with_log)
		return;
	rings_log_look(r);
	for (i = 0; i < PAGES; i++) {
		stepped_check(!r->changed[i] || fe_log_is_dirty(&r->log, GPA + i * PAGE));
		r->changed[i] = false;
	}
	fe_log_clear(&r->log);
	rings_log_begin(r);
}

/* The device has taken requests and not looked at them yet. */
static void rings_meanwhile(struct fuzz_device *d)
{
	struct rings *r = container_of(d, struct rings, d);

	if (!r->meanwhile)
		return;
	r->meanwhile = false;
	rings_log_look(r);
	rings_drive(r, input_u8(&d->in));
	rings_log_begin(r);
}

/*
 * What goes over the socket
 */

/* An invalidation is answered: nobody uses it. */
static void rings_invalidated(struct rings *r)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		r->valid[i] &= !r->going[i];
		r->going[i] = false;
	}
	r->invalidating = false;
	fuzz_device_check_held(&r->d);
}

static void rings_received(struct rings *r, const struct fe_msg *msg)
{
	if (msg->hdr.request != VU_IOTLB_MSG)
		return;
	if (r->updates)
		r->updates--;
	else if (msg->hdr.size == 8 && !msg->u.u64)
		rings_invalidated(r);
	else
		r->invalidating = false;
}

static void rings_receive(struct rings *r)
{
	struct fe_msg msg;

	while (!fe_recv_raw(&r->d.s.fe, &msg)) {
		rings_received(r, &msg);
		fe_msg_close(&msg);
	}
}

static void rings_run(struct rings *r)
{
	stepped_run(&r->d.s);
	rings_receive(r);
	rings_log_check(r);
}

static void rings_send(struct rings *r, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vu_vring_state state = { index, num };

	fe_request(&r->d.s.fe, request, &state, sizeof(state), NULL, 0);
}

static void rings_stop(struct rings *r, struct fe_ring *ring)
{
	rings_send(r, VU_GET_VRING_BASE, ring->index, 0);
	rings_run(r);
}

/*
 * Translations
 */

static void rings_send_iotlb(struct rings *r, const struct vu_iotlb *m)
{
	const struct vu_header hdr = { VU_IOTLB_MSG, VU_VERSION, sizeof(*m) };

	fe_send_raw(&r->d.s.fe, &hdr, m, sizeof(*m), NULL, 0);
}

static uint64_t rings_uva(unsigned int page)
{
	return page < REGION / PAGE ? UVA + page * PAGE : UVA + 2 * REGION + page * PAGE - REGION;
}

/* Up to four pages, within one region.  While an invalidation goes on nothing else may change. */
static void rings_update(struct rings *r, unsigned int page, unsigned int n, uint8_t perm)
{
	unsigned int i;

	if (r->invalidating)
		return;
	if (page < REGION / PAGE)
		n = MIN(n, REGION / PAGE - page);
	n = MIN(n, PAGES - page);
	rings_send_iotlb(r, &(struct vu_iotlb){
		.iova = GPA + page * PAGE, .size = n * PAGE, .user_addr = rings_uva(page),
		.perm = perm, .type = VU_IOTLB_UPDATE,
	});
	r->updates++;
	for (i = page; i < page + n; i++)
		r->valid[i] = true;
}

static void rings_invalidate(struct rings *r, unsigned int page, unsigned int n)
{
	unsigned int i;

	if (r->invalidating)
		return;
	rings_send_iotlb(r, &(struct vu_iotlb){
		.iova = GPA + page * PAGE, .size = n * PAGE, .type = VU_IOTLB_INVALIDATE,
	});
	r->invalidating = true;
	for (i = page; i < MIN(page + n, PAGES); i++)
		r->going[i] = true;
}

/* A question of the device's, if there is one: an answer, and perhaps what it asks for. */
static void rings_answer(struct rings *r, uint8_t how)
{
	struct fe_msg msg;
	uint64_t page;

	if (r->d.s.fe.backend_fd < 0 || fe_backend_recv(&r->d.s.fe, &msg))
		return;
	page = (msg.u.iotlb.iova - GPA) / PAGE;
	if (msg.hdr.request == VU_BACKEND_IOTLB_MSG && page < PAGES && how & 1)
		rings_update(r, (unsigned int)page, 1, VU_IOTLB_RW);
	if (how & 2)
		fe_backend_reply(&r->d.s.fe, &msg, how >> 2 & 1);
	fe_msg_close(&msg);
}

static void rings_translate(struct rings *r, uint8_t how)
{
	uint8_t page = input_u8(&r->d.in) % PAGES;

	if (!r->with_iommu)
		return;
	switch (how & 3) {
	case 0:
		rings_update(r, page, 1 + (how >> 4), how & 4 ? how >> 2 & 3 : VU_IOTLB_RW);
		break;
	case 1:
		rings_invalidate(r, page, 1 + (how >> 2));
		break;
	case 2:
		rings_answer(r, how >> 2);
		break;
	default:
		/* Another channel, with or without anybody at its end. */
		fe_set_backend_req_fd(&r->d.s.fe);
		if (how & 4)
			close_fd(&r->d.s.fe.backend_fd);
	}
}

/* What a request has must be translated. */
static bool rings_allowed(const struct fuzz_device *d, const struct iovec *region,
			  const struct iovec *iov)
{
	const struct rings *r = container_of(d, struct rings, d);
	size_t off = (uintptr_t)iov->iov_base - (uintptr_t)region->iov_base;
	unsigned int first = region->iov_len == REGION ? 0 : REGION / PAGE, i;

	for (i = (unsigned int)(off / PAGE); i <= (off + iov->iov_len - 1) / PAGE; i++) {
		if (r->with_iommu && !r->valid[first + i])
			return false;
	}
	return true;
}

/*
 * Starts and stops
 */

/* As fe_start_ring(), but what is written to the ring is to be logged. */
static void rings_set_up(struct rings *r, struct fe_ring *ring)
{
	struct fe *fe = &r->d.s.fe;
	struct vu_vring_addr addr;

	fe_ring_get_addr(ring, &addr);
	addr.flags = VU_VRING_ADDR_F_LOG;
	addr.log = fe_mem_gpa(&r->mem, ring->device_area, 1);
	fe_set_vring_num(fe, ring->index, ring->size);
	fe_set_vring_base(fe, ring->index, fe_ring_get_base(ring));
	fe_set_vring_addr(fe, &addr);
	fe_set_vring_call(fe, ring->index, ring->call_fd);
	fe_set_vring_err(fe, ring->index, ring->err_fd);
	fe_set_vring_kick(fe, ring->index, ring->kick_fd);
}

/* Go on, begin anew, or begin somewhere. */
static void rings_start(struct rings *r, struct fe_ring *ring, uint8_t how)
{
	rings_log_look(r);
	if (how & 1)
		fe_ring_reset(ring, how & 2 && !r->packed ? input_u16(&r->d.in) : 0);
	rings_log_begin(r);
	rings_set_up(r, ring);
	if (how & 4) {
		rings_stop(r, ring);
		rings_send(r, VU_SET_VRING_BASE, ring->index, input_u32(&r->d.in));
		fe_set_vring_kick(&r->d.s.fe, ring->index, ring->kick_fd);
	}
	fe_set_vring_enable(&r->d.s.fe, ring->index, !(how & 8));
}

static void rings_message(struct rings *r, uint8_t what)
{
	struct fe_ring *ring = rings_ring(r);
	uint8_t how = input_u8(&r->d.in);

	switch (what % 8) {
	case 0:
		rings_stop(r, ring);
		break;
	case 1:
		rings_start(r, ring, how);
		break;
	case 2:
		fe_set_vring_enable(&r->d.s.fe, ring->index, how & 1);
		break;
	case 3:
		fe_add_mem_reg(&r->d.s.fe, &r->mem.regions[how & 1]);
		break;
	case 4:
		fe_rem_mem_reg(&r->d.s.fe, &r->mem.regions[how & 1]);
		break;
	case 5:
		rings_send(r, VU_GET_VRING_BASE_SKIP_DRAIN, ring->index, 0);
		break;
	case 6:
		rings_translate(r, how);
		break;
	default:
		rings_send(r, VU_VRING_KICK, ring->index, 0);
	}
}

static void rings_get(struct fe_ring *ring, uint8_t n)
{
	uint32_t len;
	void *cookie;

	while (n-- && fe_ring_get(ring, &cookie, &len))
		;
}

static void rings_step(struct rings *r)
{
	uint8_t what = input_u8(&r->d.in);

	switch (what & 7) {
	case 0:
		stepped_turn(&r->d.s);
		break;
	case 1:
		rings_run(r);
		break;
	case 2:
		fe_ring_kick_always(rings_ring(r));
		break;
	case 3:
		r->meanwhile = true;
		break;
	case 4:
		fuzz_device_act(&r->d);
		break;
	case 5:
		rings_message(r, what >> 3);
		break;
	case 6:
		rings_log_look(r);
		rings_get(rings_ring(r), what >> 3);
		rings_log_begin(r);
		break;
	default:
		rings_log_look(r);
		rings_drive(r, what >> 3);
		rings_log_begin(r);
	}
}

/*
 * Life
 */

static void rings_memory(struct rings *r)
{
	unsigned int i;

	r->mem = (struct fe_mem){ 0 };
	for (i = 0; i < 2; i++) {
		const struct fe_region_params region = {
			.gpa = GPA + i * REGION, .size = REGION + i * PAGE,
			.uva = UVA + 2 * i * REGION,
		};

		stepped_check(fe_mem_add(&r->mem, &region) >= 0);
		stepped_check(!fe_iommu_map_region(&r->iommu, &r->mem, i, region.gpa));
	}
}

/*
 * In-flight memory as another process may have left it, or a hostile front-end has made it: the
 * beginning of each queue's part is right, the rest is the input's.
 */
static void rings_inflight(struct rings *r)
{
	unsigned int size = MAX(r->ring[0].size, r->ring[1].size), i;
	uint32_t stride = ALIGN_UP((r->packed ? 32 : 16) * (size + 1), 64u);
	struct vu_inflight msg = { INFLIGHT_LEN, 0, RINGS, (uint16_t)size };
	int fd = memfd_create("inflight", MFD_CLOEXEC);
	uint8_t n = input_u8(&r->d.in) % 16, buf[16];

	stepped_check(fd >= 0 && !ftruncate(fd, INFLIGHT_LEN));
	for (i = 0; i < RINGS; i++) {
		const uint16_t head[2] = { 1, (uint16_t)size };

		stepped_check(pwrite(fd, head, sizeof(head), i * stride + 8) > 0);
	}
	while (n--) {
		uint32_t at = input_u16(&r->d.in) % (RINGS * stride);

		stepped_check(pwrite(fd, buf, input_bytes(&r->d.in, buf, at & 1 ? 1 : 16), at) >= 0);
	}
	fe_request(&r->d.s.fe, VU_SET_INFLIGHT_FD, &msg, sizeof(msg), &fd, 1);
	close(fd);
}

#define RINGS_PROTOCOL (FE_BIT(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | \
			FE_BIT(VU_PROTOCOL_F_INFLIGHT_SHMFD) | \
			FE_BIT(VU_PROTOCOL_F_GET_VRING_BASE_INFLIGHT) | \
			FE_BIT(VU_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN) | \
			FE_BIT(VU_PROTOCOL_F_LOG_SHMFD) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) | \
			FE_BIT(VU_PROTOCOL_F_BACKEND_REQ) | \
			FE_BIT(VU_PROTOCOL_F_INBAND_NOTIFICATIONS))

static void rings_setup(struct rings *r)
{
	uint64_t wanted = FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1);
	uint8_t how = input_u8(&r->d.in), sizes = input_u8(&r->d.in);
	unsigned int i;

	wanted |= (how & 1 ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) |
		  (how & 2 ? FE_BIT(VIRTIO_RING_F_EVENT_IDX) : 0) |
		  (how & 4 ? FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0) |
		  (how & 8 ? FE_BIT(VIRTIO_F_IN_ORDER) : 0) |
		  (r->with_iommu ? FE_BIT(VIRTIO_F_ACCESS_PLATFORM) : 0);
	wanted &= dev_features_offered(r->d.s.dev);
	r->packed = wanted & FE_BIT(VIRTIO_F_RING_PACKED);
	for (i = 0; i < RINGS; i++) {
		const struct fe_ring_params params = {
			.index = i, .features = wanted, .indirect = how & 0x10 ? 4 : 0,
			.iommu = r->with_iommu ? &r->iommu : NULL,
			.size = r->packed && how & 0x20 ? 1 + sizes % 20u : 1u << (sizes >> 4 * i & 15) % 6,
			.base = r->packed || !(how & 0x40) ? 0 : 0xfffe,
		};

		stepped_check(!fe_ring_init(&r->ring[i], &r->mem, &params));
	}
	rings_log_begin(r);
	r->d.s.fe.features = wanted;
	fe_set_protocol_features(&r->d.s.fe, RINGS_PROTOCOL);
	fe_set_features(&r->d.s.fe, wanted | (r->with_log ? FE_BIT(VU_F_LOG_ALL) : 0));
	if (r->with_log)
		fe_set_log_base(&r->d.s.fe, r->log.size, r->log.offset, r->log.fd);
	if (r->with_iommu)
		fe_set_backend_req_fd(&r->d.s.fe);
	if (how & 0x80)
		rings_inflight(r);
	fe_start_mem(&r->d.s.fe, &r->mem);
	for (i = 0; i < RINGS; i++)
		rings_start(r, &r->ring[i], 0);
	if (r->with_iommu)
		for (i = 0; i < PAGES; i += REGION / PAGE)
			rings_update(r, i, how & 2 ? PAGES : 4, VU_IOTLB_RW);
	rings_run(r);
}

/* Modes of the library, and what belongs to them. */
static void rings_modes(struct rings *r)
{
	r->with_iommu = r->d.first & FIRST_IOMMU;
	r->with_log = r->d.first & FIRST_LOG;
	r->iommu = (struct fe_iommu){ 0 };
	r->updates = 0;
	r->invalidating = false;
	memset(r->valid, 0, sizeof(r->valid));
	memset(r->going, 0, sizeof(r->going));
	memset(r->changed, 0, sizeof(r->changed));
	if (r->with_log)
		stepped_check(!fe_log_init(&r->log, GPA + PAGES * PAGE, 0));
	r->d.allowed = rings_allowed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rings *r = &rings;
	unsigned int i;

	fuzz_device_start(&r->d, data, size);
	r->meanwhile = false;
	r->d.meanwhile = rings_meanwhile;
	rings_modes(r);
	stepped_connect(&r->d.s);
	rings_memory(r);
	rings_setup(r);
	while (r->d.in.left)
		rings_step(r);
	rings_run(r);
	for (i = 0; i < RINGS; i++)
		fe_ring_free(&r->ring[i]);
	fe_mem_free(&r->mem);
	fe_iommu_free(&r->iommu);
	if (r->with_log)
		fe_log_free(&r->log);
	fuzz_device_stop(&r->d);
	return 0;
}
