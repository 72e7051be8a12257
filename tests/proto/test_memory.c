/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: tables and regions, changed while rings run, and memory which vanishes.
 *
 * As in test_rings.c each test runs for both formats, with 0, 1 and 2 workers for the queues.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define ALL ~UINT64_C(0)
#define MEM_TABLE (ALL & ~FE_BIT(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

/* A device with the ring in region 0, and rings and requests going through it. */
static void up(struct echo *e, struct echo_rings *r, int run, uint64_t protocol)
{
	const uint64_t format = echo_run_format(run);
	const struct fe_ring_params params = { .size = 16, .features = format };

	echo_start(e, echo_run_workers(run), 0);
	memset(r, 0, sizeof(*r));
	r->n = 1;
	r->list[0] = &r->ring[0];
	ck_assert_int_eq(fe_mem_init(&r->mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r->ring[0], &r->mem, &params), 0);
	ck_assert_int_eq(fe_negotiate(&e->fe, FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1) | format, protocol), 0);
	ck_assert_int_eq(fe_start(&e->fe, &r->mem, r->list, 1), 0);
	echo_check(&r->ring[0], 10);
}

/* One request from iovecs in guest memory. */
static void check_request(struct fe_ring *ring, struct iovec *out, unsigned int nout,
			  struct iovec *in, unsigned int nin, uint32_t len)
{
	uint32_t used;
	void *cookie;

	ck_assert_int_ge(fe_ring_add(ring, out, nout, in, nin, ring), 0);
	fe_ring_submit(ring);
	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &used), 1);
	ck_assert_uint_eq(used, len);
}

/* proves: mem.replaced-while-running, SET_MEM_TABLE */
START_TEST(table_replaced_while_rings_run)
{
	struct echo_rings r;
	struct echo e;
	int i;

	up(&e, &r, _i, MEM_TABLE);
	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(fe_set_mem_table(&e.fe, &r.mem), 0);
		echo_check(&r.ring[0], 100);
	}
	/* Each table but the last is gone. */
	ck_assert_uint_eq(atomic_load(&e.maps), 11);
	ck_assert_uint_eq(atomic_load(&e.unmaps), 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: mem.replaced-in-work, reply.in-effect */
START_TEST(table_replaced_while_requests_use_it)
{
	const struct vu_header hdr = { VU_SET_MEM_TABLE, VU_VERSION | VU_NEED_REPLY, 40 };
	struct vu_memory table = { .num_regions = 1 };
	struct fe_region *region;
	struct fe_msg reply;
	struct echo_rings r;
	struct echo e;
	struct iovec o, i;

	up(&e, &r, _i, MEM_TABLE);
	region = &r.mem.regions[0];
	table.regions[0] = (struct vu_region){ region->gpa, region->size, region->uva,
					       region->offset };
	o = (struct iovec){ fe_mem_alloc(&r.mem, 8, 8), 8 };
	i = (struct iovec){ fe_mem_alloc(&r.mem, 8, 8), 8 };
	atomic_store(&e.hold, true);
	ck_assert_int_ge(fe_ring_add(&r.ring[0], &o, 1, &i, 1, &e), 0);
	fe_ring_submit(&r.ring[0]);
	echo_wait(&e.popped, 2);
	/* The old table is needed by a request: the answer has to wait for it. */
	ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, &table, 40, &region->fd, 1), 0);
	ck_assert(!echo_readable(e.fe.fd, ECHO_QUIET_MS));
	ck_assert_uint_eq(atomic_load(&e.unmaps), 0);
	echo_release(&e, 0);
	ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
	ck_assert_uint_eq(reply.u.u64, 0);
	ck_assert_uint_eq(atomic_load(&e.unmaps), 1);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], FE_TIMEOUT_MS), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: mem.no-region */
START_TEST(table_of_no_region_stops_rings_until_there_is_one)
{
	struct fe_mem none = { 0 };
	struct echo_rings r;
	struct echo e;

	up(&e, &r, _i, MEM_TABLE);
	ck_assert_int_eq(fe_set_mem_table(&e.fe, &none), 0);
	fe_ring_kick_always(&r.ring[0]);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert_int_eq(fe_set_mem_table(&e.fe, &r.mem), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: mem.ring-region, ADD_MEM_REG, REM_MEM_REG */
START_TEST(ring_memory_removed_and_added)
{
	struct echo_rings r;
	struct echo e;
	int i;

	up(&e, &r, _i, ALL);
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(fe_rem_mem_reg(&e.fe, &r.mem.regions[0]), 0);
		ck_assert_uint_eq(atomic_load(&e.maps), atomic_load(&e.unmaps));
		fe_ring_kick_always(&r.ring[0]);
		ck_assert_int_eq(fe_add_mem_reg(&e.fe, &r.mem.regions[0]), 0);
		echo_check(&r.ring[0], 10);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: mem.remove-waits, reply.in-effect */
START_TEST(region_removed_while_a_request_uses_it)
{
	const struct vu_header hdr = { VU_REM_MEM_REG, VU_VERSION | VU_NEED_REPLY, 40 };
	struct vu_mem_reg reg = { 0 };
	struct fe_region *region;
	struct fe_msg reply;
	struct echo_rings r;
	struct echo e;
	struct iovec o, i;

	up(&e, &r, _i, ALL);
	ck_assert_int_eq(fe_mem_add(&r.mem, &(struct fe_region_params){ 1 << 30, 1 << 20 }), 1);
	region = &r.mem.regions[1];
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, region), 0);
	o = (struct iovec){ fe_mem_alloc_in(&r.mem, 1, 8, 8), 8 };
	i = (struct iovec){ fe_mem_alloc_in(&r.mem, 1, 8, 8), 8 };
	atomic_store(&e.hold, true);
	ck_assert_int_ge(fe_ring_add(&r.ring[0], &o, 1, &i, 1, &e), 0);
	fe_ring_submit(&r.ring[0]);
	echo_wait(&e.popped, 2);
	reg.region = (struct vu_region){ region->gpa, region->size, region->uva, 0 };
	ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, &reg, 40, NULL, 0), 0);
	ck_assert(!echo_readable(e.fe.fd, ECHO_QUIET_MS));
	ck_assert_uint_eq(atomic_load(&e.unmaps), 0);
	echo_release(&e, 0);
	ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
	ck_assert_uint_eq(reply.u.u64, 0);
	ck_assert_uint_eq(atomic_load(&e.unmaps), 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * The front-end leaves while its message waits for a request, which only a stop of the queue makes
 * the device give back.
 */
/* proves: msg.front-end-gone, session.disconnect-drains */
START_TEST(front_end_leaves_while_a_request_uses_memory)
{
	const struct vu_header hdr = { VU_REM_MEM_REG, VU_VERSION | VU_NEED_REPLY, 40 };
	struct vu_mem_reg reg = { 0 };
	struct fe_region *region;
	struct echo_rings r;
	struct echo e;
	struct iovec o;

	up(&e, &r, _i, ALL);
	ck_assert_int_eq(fe_mem_add(&r.mem, &(struct fe_region_params){ 1 << 30, 1 << 20 }), 1);
	region = &r.mem.regions[1];
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, region), 0);
	o = (struct iovec){ fe_mem_alloc_in(&r.mem, 1, 8, 8), 8 };
	atomic_store(&e.hold, true);
	ck_assert_int_ge(fe_ring_add(&r.ring[0], &o, 1, NULL, 0, &e), 0);
	fe_ring_submit(&r.ring[0]);
	echo_wait(&e.popped, 2);
	reg.region = (struct vu_region){ region->gpa, region->size, region->uva, 0 };
	ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, &reg, 40, NULL, 0), 0);
	ck_assert(!echo_readable(e.fe.fd, ECHO_QUIET_MS));
	ck_assert_uint_eq(atomic_load(&e.stops), 0);
	fe_close(&e.fe);
	echo_wait(&e.stops, 1);
	echo_release(&e, 0);
	echo_wait(&e.downs, 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: mem.remove, mem.remove-fd, REM_MEM_REG */
START_TEST(removal_with_and_without_fd)
{
	struct vu_mem_reg reg = { 0 };
	struct fe_region *region;
	struct echo_rings r;
	struct echo e;

	up(&e, &r, _i, ALL);
	ck_assert_int_eq(fe_mem_add(&r.mem, &(struct fe_region_params){ 1 << 30, 1 << 20 }), 1);
	region = &r.mem.regions[1];
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, region), 0);
	reg.region = (struct vu_region){ region->gpa, region->size, region->uva, 0 };
	ck_assert_int_eq(fe_request(&e.fe, VU_REM_MEM_REG, &reg, 40, &region->fd, 1), 0);
	/* Not there any more; and one which differs in any address never was. */
	ck_assert_int_eq(fe_rem_mem_reg(&e.fe, region), -EIO);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, region), 0);
	reg.region.user_addr++;
	ck_assert_int_eq(fe_request(&e.fe, VU_REM_MEM_REG, &reg, 40, NULL, 0), -EIO);
	reg.region.user_addr--;
	reg.region.size /= 2;
	ck_assert_int_eq(fe_request(&e.fe, VU_REM_MEM_REG, &reg, 40, NULL, 0), -EIO);
	ck_assert_int_eq(fe_rem_mem_reg(&e.fe, region), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * QEMU 7.2 tells of its memory once for each pair of queues.
 * proves: mem.repeated, ADD_MEM_REG, REM_MEM_REG
 */
START_TEST(memory_told_repeatedly)
{
	struct fe_region *region, other;
	struct echo_rings r;
	unsigned int maps;
	struct echo e;

	up(&e, &r, _i, ALL);
	ck_assert_int_eq(fe_mem_add(&r.mem, &(struct fe_region_params){ 1 << 30, 1 << 20 }), 1);
	region = &r.mem.regions[1];
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, region), 0);
	ck_assert_int_eq(fe_rem_mem_reg(&e.fe, region), 0);
	ck_assert_int_eq(fe_rem_mem_reg(&e.fe, region), -EIO);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, region), 0);
	maps = atomic_load(&e.maps);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, region), 0);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, region), 0);
	ck_assert_uint_eq(atomic_load(&e.maps), maps);
	/* The same addresses, but another file. */
	other = *region;
	other.fd = memfd_create("other", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(other.fd, 1 << 20), 0);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, &other), -EIO);
	echo_check(&r.ring[0], 10);
	/* Each pair takes it back; the first one has something else in its place. */
	other.size /= 2;
	maps = atomic_load(&e.maps);
	ck_assert_int_eq(fe_rem_mem_reg(&e.fe, region), 0);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, &other), 0);
	ck_assert_int_eq(fe_rem_mem_reg(&e.fe, region), 0);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, &other), 0);
	ck_assert_uint_eq(atomic_load(&e.maps), maps + 1);
	ck_assert_int_eq(fe_rem_mem_reg(&e.fe, &other), 0);
	close(other.fd);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

#define MIB (UINT64_C(1) << 20)
/* Next to one region of 1 MiB at guest address 0 and user address 16 MiB, in a file of 2 MiB. */
static const struct vu_region wrong_regions[] = {
	{ 4 * MIB, 0, 32 * MIB, 0 },				/* no size */
	{ 4 * MIB, 3 * MIB, 32 * MIB, 0 },			/* longer than the file */
	{ 4 * MIB, 1 * MIB, 32 * MIB, 3 * MIB },		/* behind the file's end */
	{ 4 * MIB, 1 * MIB, 32 * MIB, UINT64_MAX - MIB + 1 },	/* offset + size is 0 */
	{ 4 * MIB, 1 * MIB, 32 * MIB, UINT64_MAX },
	{ 4 * MIB, 1 * MIB, 32 * MIB, INT64_MAX },
	{ UINT64_MAX - 4096, 1 * MIB, 32 * MIB, 0 },		/* guest addresses wrap */
	{ 4 * MIB, 1 * MIB, UINT64_MAX - 4096, 0 },		/* user addresses wrap */
	{ 4 * MIB, UINT64_MAX, 32 * MIB, 0 },
	{ 4 * MIB, UINT64_MAX, 32 * MIB, UINT64_MAX },
	{ 0, 1 * MIB, 32 * MIB, 0 },				/* same guest addresses */
	{ 1 * MIB - 4096, 1 * MIB, 32 * MIB, 0 },		/* overlaps at the end */
	{ 4 * MIB, 1 * MIB, 16 * MIB, 0 },			/* same user addresses */
	{ 4 * MIB, 1 * MIB, 15 * MIB + 4096, 0 },		/* overlaps at the start */
};

/* proves: mem.region-valid */
START_TEST(wrong_region)
{
	struct vu_mem_reg reg = { .region = { 0, MIB, 16 * MIB, 0 } };
	struct vu_memory table = { .num_regions = 2 };
	struct echo e;
	int fds[2];

	echo_start(&e, 0, 0);
	fds[0] = fds[1] = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fds[0], 2 * MIB), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, ALL), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_ADD_MEM_REG, &reg, 40, fds, 1), 0);
	table.regions[0] = reg.region;
	table.regions[1] = reg.region = wrong_regions[_i];
	ck_assert_int_eq(fe_request(&e.fe, VU_ADD_MEM_REG, &reg, 40, fds, 1), -EIO);
	fe_close(&e.fe);
	close(fds[0]);
	echo_stop(&e);

	echo_start(&e, 0, 0);
	fds[0] = fds[1] = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fds[0], 2 * MIB), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, MEM_TABLE), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_MEM_TABLE, &table, 72, fds, 2), -EIO);
	/* Nothing of a refused table stays. */
	ck_assert_uint_eq(atomic_load(&e.maps), atomic_load(&e.unmaps));
	close(fds[0]);
	echo_stop(&e);
}
END_TEST

/* proves: mem.too-many, msg.fds */
START_TEST(wrong_table)
{
	static const struct { uint32_t num, size; unsigned int nfds; } shapes[] = {
		{ 1, 40, 0 }, { 1, 40, 2 }, { 2, 40, 2 }, { 0, 40, 1 }, { 9, 264, 8 },
		{ 8, 264, 7 }, { UINT32_MAX, 264, 8 }, { 0x08000001, 40, 1 }, { 1, 39, 1 },
	};
	struct vu_memory table = { .regions[0] = { 0, MIB, 16 * MIB, 0 } };
	int fds[8], i;
	struct echo e;

	echo_start(&e, 0, 0);
	fds[0] = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fds[0], MIB), 0);
	for (i = 1; i < 8; i++) {
		fds[i] = fds[0];
		table.regions[i] = (struct vu_region){ (uint64_t)i * MIB, MIB,
						       (uint64_t)(16 + i) * MIB, 0 };
	}
	table.num_regions = shapes[_i].num;
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, MEM_TABLE), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_MEM_TABLE, &table, shapes[_i].size, fds,
				    shapes[_i].nfds), -EIO);
	ck_assert_uint_eq(atomic_load(&e.maps), 0);
	close(fds[0]);
	echo_stop(&e);
}
END_TEST

/* proves: mem.table-long, PROTOCOL_F_CONFIGURE_MEM_SLOTS */
START_TEST(table_in_its_longest_form)
{
	struct vu_memory table = { .num_regions = 1, .regions[0] = { 0, MIB, 16 * MIB, 0 } };
	struct echo e;
	int fd;

	echo_start(&e, 0, 0);
	fd = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, MIB), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, MEM_TABLE), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_MEM_TABLE, &table, sizeof(table), &fd, 1), 0);
	/* Slots are another way to say the same; not both. */
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, e.fe.protocol_offered &
						  ~FE_BIT(VU_PROTOCOL_F_GPA_ADDRESSES)), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_MEM_TABLE, &table, 40, &fd, 1), -EIO);
	close(fd);
	echo_stop(&e);
}
END_TEST

/*
 * proves: mem.slots, mem.too-many, GET_MAX_MEM_SLOTS, ADD_MEM_REG,
 * PROTOCOL_F_CONFIGURE_MEM_SLOTS
 */
START_TEST(as_many_slots_as_are_told)
{
	struct vu_mem_reg reg = { 0 };
	uint64_t slots, i;
	struct echo e;
	int fd;

	echo_start(&e, 0, 0);
	fd = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, ALL), 0);
	ck_assert_int_eq(fe_get_max_mem_slots(&e.fe, &slots), 0);
	ck_assert_uint_ge(slots, 509);
	for (i = 0; i < slots; i++) {
		/* neither ascending nor descending */
		uint64_t at = (i * 37 % slots) * 8192;

		reg.region = (struct vu_region){ at, 4096, MIB + at, 0 };
		ck_assert_int_eq(fe_request(&e.fe, VU_ADD_MEM_REG, &reg, 40, &fd, 1), 0);
	}
	reg.region = (struct vu_region){ slots * 8192, 4096, 64 * MIB, 0 };
	ck_assert_int_eq(fe_request(&e.fe, VU_ADD_MEM_REG, &reg, 40, &fd, 1), -EIO);
	close(fd);
	echo_stop(&e);
}
END_TEST

/* proves: mem.device-refuses */
START_TEST(device_refuses_memory)
{
	struct echo_rings r;
	struct echo e;

	up(&e, &r, _i, ALL);
	ck_assert_int_eq(fe_mem_add(&r.mem, &(struct fe_region_params){ 1 << 30, 1 << 20 }), 1);
	atomic_store(&e.refuse_map, ENOSPC);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, &r.mem.regions[1]), -EIO);
	atomic_store(&e.refuse_map, 0);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, &r.mem.regions[1]), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: mem.cross-region */
START_TEST(buffer_across_regions)
{
	struct iovec out[2], in[1];
	struct echo_rings r;
	struct vring_desc *d;
	struct echo e;
	uint8_t *a, *b;
	int id;

	/* Neighbours for the guest, not for us: the buffer becomes several. */
	up(&e, &r, _i, ALL);
	ck_assert_int_eq(fe_mem_add(&r.mem, &(struct fe_region_params){ 1 << 30, 4096 }), 1);
	ck_assert_int_eq(fe_mem_add(&r.mem, &(struct fe_region_params){ (1 << 30) + 4096, 4096 }),
			 2);
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	a = fe_mem_alloc_in(&r.mem, 1, 4096, 1);
	b = fe_mem_alloc_in(&r.mem, 2, 4096, 1);
	memset(a, 'a', 4096);
	memset(b, 'b', 4096);
	in[0] = (struct iovec){ fe_mem_alloc_in(&r.mem, 0, 6000, 1), 6000 };
	out[0] = (struct iovec){ a + 96, 4000 };
	id = fe_ring_add(&r.ring[0], out, 1, in, 1, &e);
	ck_assert_int_ge(id, 0);
	/*
	 * The first descriptor of the chain is made longer.  In a split ring ids are those of
	 * descriptors; in a packed one two have been used.  len is at the same place.
	 */
	d = (struct vring_desc *)r.ring[0].desc_area + (echo_run_format(_i) ? 2 : id);
	ck_assert_uint_eq(d->len, 4000);
	d->len = 6000;
	fe_ring_submit(&r.ring[0]);
	echo_wait(&e.pushed, 2);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], FE_TIMEOUT_MS), 0);
	ck_assert_mem_eq(in[0].iov_base, a + 96, 4000);
	ck_assert_mem_eq((uint8_t *)in[0].iov_base + 4000, b, 2000);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: chain.header-split */
START_TEST(many_pieces)
{
	struct iovec out[7], in[7];
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i, ALL);
	for (i = 0; i < 7; i++) {
		out[i] = (struct iovec){ fe_mem_alloc(&r.mem, 3 + i, 1), 3 + i };
		memset(out[i].iov_base, 'A' + (int)i, 3 + i);
		in[6 - i] = (struct iovec){ fe_mem_alloc(&r.mem, 3 + i, 1), 3 + i };
	}
	check_request(&r.ring[0], out, 7, in, 7, 42);
	ck_assert_mem_eq(in[0].iov_base, "AAABBBBCC", 9);
	ck_assert_mem_eq(in[6].iov_base, "GGG", 3);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: mem.truncated */
START_TEST(truncated_memory_costs_the_connection)
{
	struct echo_rings r;
	struct echo e;
	struct iovec o, i;

	echo_catch_sigbus();
	up(&e, &r, _i, ALL);
	ck_assert_int_eq(fe_mem_add(&r.mem, &(struct fe_region_params){ 1 << 30, 1 << 20 }), 1);
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	o = (struct iovec){ fe_mem_alloc_in(&r.mem, 1, 8192, 1), 8192 };
	i = (struct iovec){ fe_mem_alloc_in(&r.mem, 1, 8192, 1), 8192 };
	ck_assert_int_eq(ftruncate(r.mem.regions[1].fd, 0), 0);
	ck_assert_int_ge(fe_ring_add(&r.ring[0], &o, 1, &i, 1, &e), 0);
	fe_ring_submit(&r.ring[0]);
	ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
	echo_wait(&e.downs, 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

START_TEST(other_faults_are_not_ours)
{
	int on_stack = 0;

	ck_assert(!vhost_mem_fault(&on_stack));
	ck_assert(!vhost_mem_fault(NULL));
}
END_TEST

#define ADD(test) tcase_add_loop_test(tc, test, 0, ECHO_RUNS)

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tc = tcase_create("memory");

	tcase_set_timeout(tc, 60);
	ADD(table_replaced_while_rings_run);
	ADD(table_replaced_while_requests_use_it);
	ADD(table_of_no_region_stops_rings_until_there_is_one);
	ADD(ring_memory_removed_and_added);
	ADD(region_removed_while_a_request_uses_it);
	ADD(front_end_leaves_while_a_request_uses_memory);
	ADD(removal_with_and_without_fd);
	ADD(memory_told_repeatedly);
	tcase_add_loop_test(tc, wrong_region, 0, ARRAY_SIZE(wrong_regions));
	tcase_add_loop_test(tc, wrong_table, 0, 9);
	tcase_add_test(tc, table_in_its_longest_form);
	tcase_add_test(tc, as_many_slots_as_are_told);
	ADD(device_refuses_memory);
	ADD(buffer_across_regions);
	ADD(many_pieces);
	ADD(truncated_memory_costs_the_connection);
	tcase_add_test(tc, other_faults_are_not_ours);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
