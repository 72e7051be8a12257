/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands through a real virtio-scsi device: framing, addresses, answers, config space. */
#include "scsi_world.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define RESPONSE	sizeof(struct virtio_scsi_cmd_resp)
#define CHECK_CONDITION	2u

static struct world world;
static const struct world_params plain = {
	.units = { { .sectors = WORLD_SECTORS }, { .target = 3, .lun = 300, .sectors = 64 } },
};

static struct fe_scsi_resp run(struct fe_scsi_req *req)
{
	ck_assert_int_eq(fe_scsi_run(req), 0);
	return fe_scsi_resp(req);
}

/* Run it, check what the device says and how much it says to have written, and put it back. */
static void expect(struct fe_scsi_req *req, uint8_t response, uint8_t status, uint32_t residual,
		   uint32_t used)
{
	struct fe_scsi_resp resp = run(req);

	ck_assert_msg(resp.response == response && resp.status == status &&
		      resp.residual == residual && req->used_len == used,
		      "response %u, status %u, residual %u, used length %u, not %u, %u, %u, %u",
		      resp.response, resp.status, resp.residual, req->used_len, response, status,
		      residual, used);
	fe_scsi_put(req);
}

/*
 * Framing
 */

static void write_and_read(unsigned int framing, uint32_t cut, uint8_t byte)
{
	struct fe_scsi_req *req = world_write(&world, 0, 0, 0, 9, 6, byte);

	req->framing = framing;
	req->cut = cut;
	expect(req, VIRTIO_SCSI_S_OK, 0, 0, RESPONSE);
	world_check_fill(&world, 0, 8, 1, world_pattern(0, 8));
	world_check_fill(&world, 0, 9, 6, byte);
	world_check_fill(&world, 0, 15, 1, world_pattern(0, 15));

	req = world_read(&world, 0, 0, 0, 9, 6);
	req->framing = framing;
	req->cut = cut;
	memset(fe_scsi_in(req), 0, req->in_len);
	ck_assert_uint_eq(run(req).status, 0);
	ck_assert_uint_eq(req->used_len, RESPONSE + req->in_len);
	ck_assert_uint_eq(fe_scsi_in(req)[0], byte);
	ck_assert_mem_eq(fe_scsi_in(req), fe_scsi_in(req) + 1, req->in_len - 1);
	fe_scsi_put(req);
}

/* _i: FE_SCSI_JOIN, 2 for direct chains, 4 for packed rings. */
START_TEST(framing)
{
	static const uint32_t cuts[] = { 0, 1000, 512, 77, 51, 108, 3000 };
	unsigned int i;

	world_up(&world, &plain, _i & 4 ? UINT64_MAX : WORLD_FEATURES);
	if (_i & 2)
		world.ring[0].indirect = 0;
	for (i = 0; i < ARRAY_SIZE(cuts); i++)
		write_and_read((unsigned int)_i & 1, cuts[i], (uint8_t)(0xc0 + i));
	world_down(&world);
}
END_TEST

/* Bytes of the four parts, which are added as one chain with these lengths. */
static void malformed(struct fe_ring *ring, unsigned int q, uint32_t out_len, uint32_t in_len)
{
	uint8_t *mem = fe_mem_alloc(&world.mem, 1024, 64);
	const struct iovec out = { mem, out_len }, in = { mem + 512, in_len };
	uint64_t before = world_malformed(&world, q);
	void *cookie;
	uint32_t len;

	memset(mem, 0xff, 1024);
	ck_assert_int_ge(fe_ring_add(ring, &out, !!out_len, &in, !!in_len, mem), 0);
	fe_ring_submit(ring);
	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	ck_assert_ptr_eq(cookie, mem);
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(world_malformed(&world, q), before + 1);
}

START_TEST(without_room)
{
	world_up(&world, &plain, WORLD_FEATURES);
	malformed(&world.ring[0], FE_SCSI_REQUEST, 50, 108);
	malformed(&world.ring[0], FE_SCSI_REQUEST, 51, 107);
	malformed(&world.ring[0], FE_SCSI_REQUEST, 0, 108);
	malformed(&world.ring[0], FE_SCSI_REQUEST, 51, 0);
	/* All types but 0xffffffff would have come so far. */
	malformed(&world.control_ring, FE_SCSI_CONTROL, 3, 1);
	malformed(&world.control_ring, FE_SCSI_CONTROL, 24, 1);
	malformed(&world.control_ring, FE_SCSI_CONTROL, 0, 5);
	world_expect_alive(&world, 0, 0, 0, 0);
	world_down(&world);
}
END_TEST

static void short_control(uint32_t type, uint32_t out_len, uint32_t in_len)
{
	struct fe_scsi_ctrl *ctrl = &world.ctrl[0];
	const struct iovec out = { ctrl->req, out_len }, in = { ctrl->resp, in_len };
	uint32_t len;
	void *cookie;

	ctrl->req->tmf = (struct virtio_scsi_ctrl_tmf_req){ .type = htole32(type), .lun = { 1 } };
	ck_assert_int_ge(fe_ring_add(ctrl->ring, &out, 1, &in, !!in_len, ctrl), 0);
	fe_ring_submit(ctrl->ring);
	ck_assert_int_eq(fe_ring_wait(ctrl->ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ctrl->ring, &cookie, &len), 1);
	ck_assert_uint_eq(len, 0);
}

START_TEST(control_without_room)
{
	static const uint8_t lun[8] = { 1 };

	world_up(&world, &plain, WORLD_FEATURES);
	short_control(VIRTIO_SCSI_T_TMF, 23, 1);
	short_control(VIRTIO_SCSI_T_TMF, 24, 0);
	short_control(VIRTIO_SCSI_T_AN_QUERY, 15, 5);
	short_control(VIRTIO_SCSI_T_AN_QUERY, 16, 4);
	short_control(VIRTIO_SCSI_T_AN_SUBSCRIBE, 16, 0);
	short_control(3, 24, 5);
	ck_assert_uint_eq(world_malformed(&world, FE_SCSI_CONTROL), 6);
	ck_assert_int_eq(fe_scsi_tmf(&world.ctrl[0], VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, lun, 0), 0);
	world_down(&world);
}
END_TEST

/*
 * An image which fails is told of, and with which error
 */

static atomic_int last_error;

static void note_error(void *arg, struct vhost_queue *q, const struct scsi_cmd *cmd)
{
	(void)arg;
	ck_assert_uint_eq(vhost_queue_index(q), FE_SCSI_REQUEST);
	ck_assert_uint_eq(cmd->io.op, STORAGE_READ);
	ck_assert_uint_eq(cmd->io.offset, 4 * 512);
	atomic_store(&last_error, cmd->error);
}

START_TEST(failing_image)
{
	struct world_params params = plain;

	params.scsi.io_error = note_error;
	world_up(&world, &params, WORLD_FEATURES);
	world_expect_alive(&world, 0, 0, 0, 0);
	/* No command has got so far that the image could fail. */
	expect(world_read(&world, 0, 0, 0, WORLD_SECTORS, 1), VIRTIO_SCSI_S_OK, CHECK_CONDITION,
	       512, RESPONSE);
	ck_assert_int_eq(atomic_load(&last_error), 0);
	ck_assert_int_eq(ftruncate(world.image[0], 0), 0);
	expect(world_read(&world, 0, 0, 0, 4, 1), VIRTIO_SCSI_S_OK, CHECK_CONDITION, 512, RESPONSE);
	ck_assert_int_eq(atomic_load(&last_error), -EIO);
	world_down(&world);
}
END_TEST

/*
 * Data which is longer or shorter than the command wants, or goes the other way
 */

START_TEST(residuals)
{
	struct fe_scsi_req *req;

	world_up(&world, &plain, WORLD_FEATURES);
	req = world_read(&world, 0, 0, 0, 4, 2);
	req->in_len = 5000;
	expect(req, VIRTIO_SCSI_S_OK, 0, 5000 - 1024, RESPONSE + 1024);
	req = world_write(&world, 0, 0, 0, 4, 2, 7);
	req->out_len = 3000;
	expect(req, VIRTIO_SCSI_S_OK, 0, 3000 - 1024, RESPONSE);
	world_check_fill(&world, 0, 4, 2, 7);
	/* The residual of a command which wants more than there is has no meaning. */
	req = world_read(&world, 0, 0, 0, 4, 2);
	req->in_len = 1023;
	ck_assert_uint_eq(run(req).response, VIRTIO_SCSI_S_OVERRUN);
	fe_scsi_put(req);
	/* Out of range: no data, all of it is left. */
	expect(world_read(&world, 0, 0, 0, WORLD_SECTORS, 1), VIRTIO_SCSI_S_OK, CHECK_CONDITION,
	       512, RESPONSE);
	world_down(&world);
}
END_TEST

/* _i: FE_SCSI_JOIN, which makes it necessary to slice both; 2: with INOUT. */
START_TEST(both_directions)
{
	struct fe_scsi_req *req;

	world_up(&world, &plain, _i & 2 ? WORLD_FEATURES :
		 WORLD_FEATURES & ~FE_BIT(VIRTIO_SCSI_F_INOUT));
	req = world_write(&world, 0, 0, 0, 4, 2, 0x77);
	req->in_len = 100;
	req->framing = (unsigned int)_i & 1;
	if (_i & 2) {
		expect(req, VIRTIO_SCSI_S_OK, 0, 100, RESPONSE);
		world_check_fill(&world, 0, 4, 2, 0x77);
	} else {
		expect(req, VIRTIO_SCSI_S_FAILURE, 0, 1124, RESPONSE);
		world_check_fill(&world, 0, 4, 1, world_pattern(0, 4));
	}
	world_down(&world);
}
END_TEST

START_TEST(attributes)
{
	struct fe_scsi_req *req;

	world_up(&world, &plain, WORLD_FEATURES);
	req = world_read(&world, 0, 0, 0, 4, 1);
	req->attr = 4;
	expect(req, VIRTIO_SCSI_S_FAILURE, 0, 512, RESPONSE);
	req = world_read(&world, 0, 0, 0, 4, 1);
	req->attr = VIRTIO_SCSI_S_ACA;
	ck_assert_uint_eq(run(req).status, CHECK_CONDITION);
	ck_assert_uint_eq(fe_scsi_resp(req).sense[2] & 0xf, 5);
	ck_assert_uint_eq(fe_scsi_resp(req).sense[12], 0x49);
	fe_scsi_put(req);
	req = world_read(&world, 0, 0, 0, 4, 1);
	req->attr = VIRTIO_SCSI_S_HEAD;
	expect(req, VIRTIO_SCSI_S_OK, 0, 0, RESPONSE + 512);
	req = world_read(&world, 0, 0, 0, 4, 1);
	req->attr = VIRTIO_SCSI_S_ORDERED;
	expect(req, VIRTIO_SCSI_S_OK, 0, 0, RESPONSE + 512);
	world_down(&world);
}
END_TEST

/*
 * Addresses
 */

static const struct {
	uint8_t lun[8];
	uint8_t response, status;
} addresses[] = {
	{ { 1, 0, 0, 0 }, VIRTIO_SCSI_S_OK, 0 },
	{ { 1, 0, 0x40, 0 }, VIRTIO_SCSI_S_OK, 0 },
	{ { 1, 3, 0x41, 0x2c }, VIRTIO_SCSI_S_OK, 0 },
	/* no such unit of a target which is there */
	{ { 1, 0, 0, 1 }, VIRTIO_SCSI_S_OK, CHECK_CONDITION },
	{ { 1, 3, 0, 0 }, VIRTIO_SCSI_S_OK, CHECK_CONDITION },
	{ { 1, 3, 0x7f, 0xff }, VIRTIO_SCSI_S_OK, CHECK_CONDITION },
	/* no such target */
	{ { 1, 1, 0, 0 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 1, 255, 0x40, 0 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	/* no such format: bus 1, logical unit and extended addressing, several levels, no target */
	{ { 1, 0, 0x01, 0 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 1, 0, 0x80, 0 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 1, 0, 0xc0, 0 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 1, 0, 0, 0, 0, 1 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 1, 0, 0, 0, 0, 0, 0, 1 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 0, 0, 0, 0 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 2, 0, 0, 0 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 0xc1, 2, 0, 0 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
	{ { 0xc1, 1, 0, 1 }, VIRTIO_SCSI_S_BAD_TARGET, 0 },
};

START_TEST(addressing)
{
	struct fe_scsi_req *req;
	struct fe_scsi_resp resp;
	size_t i;

	world_up(&world, &plain, WORLD_FEATURES);
	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		req = world_read(&world, 0, 0, 0, 4, 1);
		memcpy(req->lun, addresses[i].lun, 8);
		resp = run(req);
		ck_assert_msg(resp.response == addresses[i].response &&
			      resp.status == addresses[i].status,
			      "address %zu: response %u, status %u", i, resp.response, resp.status);
		fe_scsi_put(req);
	}
	world_down(&world);
}
END_TEST

/* The units of target 0, by each way to ask; _i: which. */
START_TEST(report_luns)
{
	static const uint8_t ways[][8] = {
		{ 1, 0, 0, 0 }, { 1, 3, 0, 5 }, { 1, 3, 0xc1, 1 }, { 0xc1, 1 },
	};
	static const uint8_t cdb[12] = { 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	struct fe_scsi_req *req;

	world_up(&world, &plain, WORLD_FEATURES);
	req = world_req(&world, 0, 0, 0, cdb, sizeof(cdb));
	memcpy(req->lun, ways[_i], 8);
	req->in_len = 256;
	ck_assert_uint_eq(run(req).status, 0);
	ck_assert_uint_eq(fe_scsi_in(req)[3] % 8, 0);
	ck_assert_uint_ge(fe_scsi_in(req)[3], 8);
	fe_scsi_put(req);
	world_down(&world);
}
END_TEST

/*
 * Config space and features
 */

static uint32_t config32(uint32_t off)
{
	uint32_t value;

	ck_assert_int_eq(fe_get_config(&world.fe, off, &value, sizeof(value)), 0);
	return le32toh(value);
}

static int set_config32(uint32_t off, uint32_t value)
{
	value = htole32(value);
	return fe_set_config(&world.fe, off, &value, sizeof(value), VU_CONFIG_WRITABLE);
}

#define SENSE_SIZE	offsetof(struct virtio_scsi_config, sense_size)
#define CDB_SIZE	offsetof(struct virtio_scsi_config, cdb_size)

START_TEST(config)
{
	const struct world_params params = {
		.units = { { .sectors = 64 } }, .scsi.queues = 3,
	};
	struct virtio_scsi_config c;
	uint64_t features, num;

	world_up(&world, &params, WORLD_FEATURES);
	ck_assert_int_eq(fe_get_config(&world.fe, 0, &c, sizeof(c)), 0);
	ck_assert_uint_eq(le32toh(c.num_queues), 3);
	ck_assert_uint_eq(le32toh(c.seg_max), 126);
	ck_assert_uint_eq(le32toh(c.event_info_size), 16);
	ck_assert_uint_eq(le32toh(c.sense_size), 96);
	ck_assert_uint_eq(le32toh(c.cdb_size), 32);
	ck_assert_uint_eq(le16toh(c.max_channel), 0);
	ck_assert_uint_eq(le16toh(c.max_target), 255);
	ck_assert_uint_eq(le32toh(c.max_lun), 16383);
	ck_assert_int_eq(fe_get_queue_num(&world.fe, &num), 0);
	ck_assert_uint_eq(num, 3);
	ck_assert_int_eq(fe_get_features(&world.fe, &features), 0);
	ck_assert_uint_eq(features & (FE_BIT(24) - 1), 7);
	world_down(&world);
}
END_TEST

START_TEST(sizes)
{
	struct fe_scsi_req *req;

	world_up(&world, &plain, WORLD_FEATURES);
	ck_assert_int_eq(set_config32(SENSE_SIZE, 20), 0);
	ck_assert_int_eq(set_config32(CDB_SIZE, 16), 0);
	world.fs[0].sense_size = 20;
	world.fs[0].cdb_size = 16;
	expect(world_read(&world, 0, 0, 0, 4, 2), VIRTIO_SCSI_S_OK, 0, 0, 12 + 20 + 1024);
	req = world_read(&world, 0, 0, 0, WORLD_SECTORS, 1);
	ck_assert_uint_eq(run(req).status, CHECK_CONDITION);
	ck_assert_uint_eq(fe_scsi_resp(req).sense_len, 18);
	ck_assert_uint_eq(fe_scsi_resp(req).sense[12], 0x21);
	fe_scsi_put(req);
	/* Sense data is cut. */
	ck_assert_int_eq(set_config32(SENSE_SIZE, 8), 0);
	world.fs[0].sense_size = 8;
	req = world_read(&world, 0, 0, 0, WORLD_SECTORS, 1);
	ck_assert_uint_eq(run(req).sense_len, 8);
	ck_assert_uint_eq(req->used_len, 12 + 8);
	fe_scsi_put(req);
	/* The largest of both. */
	ck_assert_int_eq(set_config32(SENSE_SIZE, 252), 0);
	ck_assert_int_eq(set_config32(CDB_SIZE, 260), 0);
	world.fs[0].sense_size = 252;
	world.fs[0].cdb_size = 260;
	expect(world_read(&world, 0, 0, 0, 4, 2), VIRTIO_SCSI_S_OK, 0, 0, 12 + 252 + 1024);
	ck_assert_uint_eq(config32(SENSE_SIZE), 252);
	world_down(&world);
}
END_TEST

START_TEST(sizes_refused)
{
	static const struct { uint32_t off, value; } bad[] = {
		{ SENSE_SIZE, 253 }, { CDB_SIZE, 5 }, { CDB_SIZE, 261 }, { 0, 1 },
		{ CDB_SIZE, UINT32_MAX }, { offsetof(struct virtio_scsi_config, max_lun), 1 },
	};
	size_t i;

	world_up(&world, &plain, WORLD_FEATURES);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(set_config32(bad[i].off, bad[i].value), -EIO);
	ck_assert_int_eq(fe_set_config(&world.fe, SENSE_SIZE, "\x10", 1, VU_CONFIG_WRITABLE), -EIO);
	ck_assert_uint_eq(config32(SENSE_SIZE), 96);
	ck_assert_uint_eq(config32(CDB_SIZE), 32);
	world_expect_alive(&world, 0, 0, 0, 0);
	world_down(&world);
}
END_TEST

START_TEST(sizes_after_reset)
{
	world_up(&world, &plain, WORLD_FEATURES);
	ck_assert_int_eq(set_config32(SENSE_SIZE, 18), 0);
	ck_assert_int_eq(set_config32(CDB_SIZE, 12), 0);
	world_disconnect(&world);
	world_connect(&world, WORLD_FEATURES, 1);
	ck_assert_uint_eq(config32(SENSE_SIZE), 96);
	world_take_attentions(&world, 0, 0, NULL, 0);
	world_expect_alive(&world, 0, 0, 0, 0);
	world_down(&world);
}
END_TEST

/*
 * Many at a time
 */

START_TEST(one_commit)
{
	struct fe_scsi_req *reqs[20];
	unsigned int i, before;

	world_up(&world, &plain, WORLD_FEATURES);
	gate_close();
	before = atomic_load(&world_commits);
	for (i = 0; i < ARRAY_SIZE(reqs); i++) {
		reqs[i] = world_read(&world, 0, 0, 0, i, 1);
		ck_assert_int_eq(fe_scsi_add(reqs[i]), 0);
	}
	fe_ring_submit(&world.ring[0]);
	gate_wait(ARRAY_SIZE(reqs));
	gate_open(&world);
	for (i = 0; i < ARRAY_SIZE(reqs); i++) {
		struct fe_scsi_req *back;

		ck_assert_int_eq(fe_scsi_reap(&world.fs[0], &back, FE_TIMEOUT_MS), 0);
		ck_assert_uint_eq(fe_scsi_resp(back).status, 0);
		fe_scsi_put(back);
	}
	/* One of the device's, and the gate's own. */
	ck_assert_uint_eq(atomic_load(&world_commits) - before, 1);
	world_down(&world);
}
END_TEST

/* _i: number of workers, and 4 for packed rings. */
START_TEST(all_rings)
{
	const struct world_params params = {
		.units = { { .sectors = WORLD_SECTORS }, { .lun = 1, .sectors = WORLD_SECTORS } },
		.scsi.queues = 4, .workers = (unsigned int)_i & 3,
	};
	unsigned int i;

	world_up(&world, &params, _i & 4 ? UINT64_MAX : WORLD_FEATURES);
	world_take_attentions(&world, 0, 1, NULL, 0);
	for (i = 0; i < TAP_TIMES(200); i++)
		world_expect_alive(&world, i % 4, 0, i / 4 % 2, i / 4 % 2);
	world_down(&world);
}
END_TEST

static struct fe_scsi_req *compare_and_write(unsigned int ring, uint8_t from, uint8_t to)
{
	static const uint8_t cdb[16] = { 0x89, [9] = 7, [13] = 1 };
	struct fe_scsi_req *req = world_req(&world, ring, 0, 0, cdb, sizeof(cdb));

	req->out_len = 2 * WORLD_SECTOR;
	memset(fe_scsi_out(req), from, WORLD_SECTOR);
	memset(fe_scsi_out(req) + WORLD_SECTOR, to, WORLD_SECTOR);
	return req;
}

/* Of those who come at the same time on different workers, and write the same, one is the first. */
START_TEST(one_wins)
{
	const struct world_params params = {
		.units = { { .sectors = WORLD_SECTORS } }, .scsi.queues = 3, .workers = 3,
	};
	struct fe_scsi_req *req;
	unsigned int i, ring, good;

	world_up(&world, &params, WORLD_FEATURES);
	req = world_write(&world, 0, 0, 0, 7, 1, 0);
	expect(req, VIRTIO_SCSI_S_OK, 0, 0, 108);
	for (i = 0; i < TAP_TIMES(200); i++) {
		for (ring = 0; ring < 3; ring++)
			ck_assert(!fe_scsi_add(compare_and_write(ring, (uint8_t)i, (uint8_t)(i + 1))));
		/* In between, writes of other blocks come and go. */
		for (ring = 0; ring < 3; ring++)
			ck_assert(!fe_scsi_submit(world_write(&world, ring, 0, 0, 20 + ring, 4, 1)));
		for (ring = 0, good = 0; ring < 6; ring++) {
			ck_assert_int_eq(fe_scsi_reap(&world.fs[ring / 2], &req, FE_TIMEOUT_MS), 0);
			ck_assert_uint_eq(fe_scsi_resp(req).response, VIRTIO_SCSI_S_OK);
			if (fe_scsi_resp(req).status)
				ck_assert_uint_eq(fe_scsi_resp(req).sense[12], 0x1d);
			good += !fe_scsi_resp(req).status && req->cdb[0] == 0x89;
			fe_scsi_put(req);
		}
		ck_assert_uint_eq(good, 1);
	}
	world_check_fill(&world, 0, 7, 1, (uint8_t)i);
	world_down(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_scsi");
	TCase *tc = tcase_create("virtio_scsi");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, framing, 0, 8);
	tcase_add_test(tc, without_room);
	tcase_add_test(tc, control_without_room);
	tcase_add_test(tc, failing_image);
	tcase_add_test(tc, residuals);
	tcase_add_loop_test(tc, both_directions, 0, 4);
	tcase_add_test(tc, attributes);
	tcase_add_test(tc, addressing);
	tcase_add_loop_test(tc, report_luns, 0, 4);
	tcase_add_test(tc, config);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, sizes_refused);
	tcase_add_test(tc, sizes_after_reset);
	tcase_add_test(tc, one_commit);
	tcase_add_loop_test(tc, all_rings, 0, 8);
	tcase_add_test(tc, one_wins);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
