/* SPDX-License-Identifier: BSD-3-Clause */
/* What a virtio-blk driver may choose, storage which fails, and many requests at once. */
#include "disk.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "frontend/fe_backend.h"
#include "tap.h"
#include "util.h"

#define SECTOR	FE_BLK_SECTOR
#define END	DISK_SECTORS
#define UNMAP	VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP

static struct disk disk;
static const struct disk_params plain = { 0 };

/*
 * Features
 */

START_TEST(not_negotiated)
{
	struct disk_range r = { 0, 8, 0 };

	disk_up(&disk, &plain, 0);
	disk_expect(&disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, VIRTIO_BLK_S_UNSUPP, 1);
	disk_expect(&disk, VIRTIO_BLK_T_FLUSH_OUT, 0, NULL, 0, VIRTIO_BLK_S_UNSUPP, 1);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_DISCARD, &r, 1, VIRTIO_BLK_S_UNSUPP);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, &r, 1, VIRTIO_BLK_S_UNSUPP);
	disk_check_old(&disk, 0, END);
	disk_expect_alive(&disk);
	disk_down(&disk);
}
END_TEST

/* Whether or not the driver has acknowledged RO. */
START_TEST(read_only)
{
	const struct disk_params params = { .storage.read_only = true };
	uint8_t buf[SECTOR] = { 0 };
	struct disk_range r = { 0, 8, 0 };

	disk_up(&disk, &params, _i ? DISK_FEATURES : 0);
	ck_assert_uint_eq(disk.fe.offered & FE_BIT(VIRTIO_BLK_F_RO), FE_BIT(VIRTIO_BLK_F_RO));
	disk_expect(&disk, VIRTIO_BLK_T_OUT, 0, buf, sizeof(buf), VIRTIO_BLK_S_IOERR, 1);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_DISCARD, &r, 1, VIRTIO_BLK_S_IOERR);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, &r, 1, VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(spy.submits, 0);
	disk_check_old(&disk, 0, END);
	if (_i)
		disk_expect(&disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, VIRTIO_BLK_S_OK, 1);
	disk_expect_alive(&disk);
	disk_down(&disk);
}
END_TEST

/*
 * Durability
 */

#define FLUSH		FE_BIT(VIRTIO_BLK_F_FLUSH)
#define CONFIG_WCE	FE_BIT(VIRTIO_BLK_F_CONFIG_WCE)
#define WCE_OFFSET	offsetof(struct virtio_blk_config, wce)

/* Check that each kind of write is, or is not, to be durable when it is done. */
static void expect_durable(bool durable)
{
	unsigned int flag = durable ? STORAGE_FUA : 0;
	uint8_t buf[SECTOR] = { 0 };
	struct disk_range r = { 8, 8, 0 };

	disk_expect(&disk, VIRTIO_BLK_T_OUT, 8, buf, sizeof(buf), VIRTIO_BLK_S_OK, 1);
	ck_assert_uint_eq(spy.flags, flag);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_DISCARD, &r, 1, VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(spy.flags, flag);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, &r, 1, VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(spy.flags, flag);
	r = (struct disk_range){ 8, 8, UNMAP };
	disk_expect_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, &r, 1, VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(spy.flags, flag | STORAGE_UNMAP);
	disk_expect_alive(&disk);
	ck_assert_uint_eq(spy.flags, 0);
}

static int set_wce(uint8_t value)
{
	return fe_set_config(&disk.fe, WCE_OFFSET, &value, 1, VU_CONFIG_WRITABLE);
}

static void expect_wce(uint8_t value)
{
	uint8_t wce = 0xff;

	ck_assert_int_eq(fe_get_config(&disk.fe, WCE_OFFSET, &wce, 1), 0);
	ck_assert_uint_eq(wce, value);
}

static const struct {
	uint64_t without;		/* features which the driver does not choose */
	bool durable;
	uint8_t wce;
} modes[] = {
	{ 0, false, 1 },
	{ CONFIG_WCE, false, 1 },
	{ FLUSH | CONFIG_WCE, true, 1 },
	{ FLUSH, true, 0 },
};

START_TEST(cache_mode)
{
	disk_up(&disk, &plain, DISK_FEATURES & ~modes[_i].without);
	expect_durable(modes[_i].durable);
	expect_wce(modes[_i].wce);
	/* The next front-end starts anew, before it has chosen anything. */
	disk_disconnect(&disk);
	disk_greet(&disk, DISK_FEATURES);
	expect_wce(1);
	disk_start(&disk, 1);
	expect_wce(1);
	expect_durable(false);
	disk_down(&disk);
}
END_TEST

START_TEST(cache_mode_changes)
{
	disk_up(&disk, &plain, DISK_FEATURES);
	ck_assert_int_eq(set_wce(0), 0);
	expect_wce(0);
	expect_durable(true);
	ck_assert_int_eq(set_wce(1), 0);
	expect_wce(1);
	expect_durable(false);
	disk_down(&disk);
}
END_TEST

/* A stop and a start, as of a paused machine, keep the mode; a reset does not. */
START_TEST(cache_mode_and_reset)
{
	disk_up(&disk, &plain, DISK_FEATURES);
	ck_assert_int_eq(set_wce(0), 0);
	ck_assert_int_eq(fe_stop(&disk.fe, disk.rings, 1), 0);
	ck_assert_int_eq(fe_start(&disk.fe, &disk.mem, disk.rings, 1), 0);
	expect_wce(0);
	expect_durable(true);
	ck_assert_int_eq(fe_stop(&disk.fe, disk.rings, 1), 0);
	ck_assert_int_eq(fe_reset_device(&disk.fe), 0);
	fe_ring_reset(&disk.ring[0], 0);
	ck_assert_int_eq(fe_start(&disk.fe, &disk.mem, disk.rings, 1), 0);
	expect_wce(1);
	expect_durable(false);
	disk_down(&disk);
}
END_TEST

START_TEST(cache_mode_refused)
{
	static const uint8_t zeroes[8] = { 0 };
	static const struct {
		uint32_t off, len;
	} wrong[] = { { 0, 8 }, { WCE_OFFSET - 1, 2 }, { WCE_OFFSET, 2 }, { WCE_OFFSET + 1, 1 },
		      { VIRTIO_BLK_CONFIG_LEN - 1, 1 } };
	unsigned int i;

	disk_up(&disk, &plain, DISK_FEATURES);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_int_lt(fe_set_config(&disk.fe, wrong[i].off, zeroes, wrong[i].len,
					       VU_CONFIG_WRITABLE), 0);
	ck_assert_int_lt(set_wce(2), 0);
	expect_wce(1);
	expect_durable(false);
	disk_disconnect(&disk);
	disk_connect(&disk, DISK_FEATURES & ~CONFIG_WCE, 1);
	ck_assert_int_lt(set_wce(0), 0);
	expect_wce(1);
	expect_durable(false);
	disk_down(&disk);
}
END_TEST

/*
 * Errors of the storage
 */

static const struct {
	const char *fault;
	uint32_t type, len;
	int status;
	uint32_t used;
} faults[] = {
	{ "read@4096", VIRTIO_BLK_T_IN, 512, VIRTIO_BLK_S_IOERR, 0 },
	{ "write@4096", VIRTIO_BLK_T_OUT, 512, VIRTIO_BLK_S_IOERR, 1 },
	{ "write@4096:ENOSPC", VIRTIO_BLK_T_OUT, 512, VIRTIO_BLK_S_IOERR, 1 },
	{ "flush", VIRTIO_BLK_T_FLUSH, 0, VIRTIO_BLK_S_IOERR, 1 },
	{ "flush:ENOSPC", VIRTIO_BLK_T_FLUSH_OUT, 0, VIRTIO_BLK_S_IOERR, 1 },
	{ "discard@4096", VIRTIO_BLK_T_DISCARD, 16, VIRTIO_BLK_S_IOERR, 1 },
	{ "discard:EOPNOTSUPP", VIRTIO_BLK_T_DISCARD, 16, VIRTIO_BLK_S_UNSUPP, 1 },
	{ "zeroes@4096", VIRTIO_BLK_T_WRITE_ZEROES, 16, VIRTIO_BLK_S_IOERR, 1 },
};

START_TEST(storage_error)
{
	const struct disk_params params = { .storage.fault = faults[_i].fault };
	uint8_t buf[SECTOR] = { 0 };
	const struct disk_range r = { 8, 1, 0 };
	unsigned int i;

	disk_up(&disk, &params, DISK_FEATURES);
	for (i = 0; i < 3; i++) {
		disk_put_ranges(buf, &r, 1);
		disk_expect(&disk, faults[_i].type, 8, buf, faults[_i].len, faults[_i].status,
		       faults[_i].used);
		disk_expect_alive(&disk);
	}
	/* What is not supported is no error of the image's. */
	ck_assert_uint_eq(disk.io_errors, faults[_i].status == VIRTIO_BLK_S_IOERR ? 3 : 0);
	disk_down(&disk);
}
END_TEST

/* The ranges behind the one which fails are left alone. */
START_TEST(storage_error_in_a_range)
{
	const struct disk_params params = { .storage.fault = "zeroes@8192*1" };
	struct disk_range r[3] = { { 0, 4, 0 }, { 16, 4, 0 }, { 32, 4, 0 } };

	disk_up(&disk, &params, DISK_FEATURES);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, r, 3, VIRTIO_BLK_S_IOERR);
	disk_check_fill(&disk, 0, 4, 0);
	disk_check_old(&disk, 16, END - 16);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, r, 3, VIRTIO_BLK_S_OK);
	disk_check_fill(&disk, 16, 4, 0);
	disk_check_fill(&disk, 32, 4, 0);
	disk_down(&disk);
}
END_TEST

/*
 * Many requests
 */

/* Submit a write of byte to each of n sectors, beginning with first, all at once. */
static void write_many(unsigned int ring, uint64_t first, unsigned int n, uint8_t byte)
{
	struct fe_blk *fb = &disk.fb[ring];
	struct fe_blk_req *req;
	unsigned int i;

	for (i = 0; i < n; i++) {
		req = fe_blk_get(fb);
		ck_assert_ptr_nonnull(req);
		req->type = VIRTIO_BLK_T_OUT;
		req->sector = first + i;
		req->len = SECTOR;
		memset(fe_blk_data(req), byte, SECTOR);
		ck_assert_int_eq(fe_blk_add(fb, req), 0);
	}
	fe_ring_submit(&disk.ring[ring]);
}

static void reap_many(unsigned int ring, unsigned int n)
{
	struct fe_blk_req *req;

	while (n--) {
		ck_assert_int_eq(fe_blk_reap(&disk.fb[ring], &req, FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_blk_status(req), VIRTIO_BLK_S_OK);
		ck_assert_uint_eq(req->used_len, 1);
		fe_blk_put(&disk.fb[ring], req);
	}
}

static const enum storage_engine engines[] = {
	STORAGE_ENGINE_URING, STORAGE_ENGINE_AIO, STORAGE_ENGINE_THREADS,
};

/* A full ring is one batch after the other, not a commit for each request. */
START_TEST(batches)
{
	const struct disk_params params = { .storage.engine = engines[_i] };

	disk_up(&disk, &params, DISK_FEATURES);
	write_many(0, 100, DISK_DEPTH, 0x5a);
	reap_many(0, DISK_DEPTH);
	disk_check_old(&disk, 99, 1);
	disk_check_fill(&disk, 100, DISK_DEPTH, 0x5a);
	disk_check_old(&disk, 100 + DISK_DEPTH, 1);
	ck_assert_uint_eq(spy.submits, DISK_DEPTH);
	ck_assert_uint_ge(spy.run_max, DISK_DEPTH / 2);
	disk_down(&disk);
}
END_TEST

/* Four queues on two workers, front-ends one after the other. */
START_TEST(queues_on_workers)
{
	const struct disk_params params = {
		.storage.engine = engines[_i], .blk = { .queues = DISK_RINGS_MAX, .workers = 2 },
	};
	unsigned int round, i;
	uint8_t byte = 1;

	disk_open(&disk, &params);
	for (round = 0; round < 3; round++, byte++) {
		disk_connect(&disk, DISK_FEATURES, DISK_RINGS_MAX - round);
		for (i = 0; i < disk.num_rings; i++)
			write_many(i, i * DISK_DEPTH, DISK_DEPTH, byte);
		for (i = 0; i < disk.num_rings; i++)
			reap_many(i, DISK_DEPTH);
		disk_check_fill(&disk, 0, disk.num_rings * DISK_DEPTH, byte);
		disk_disconnect(&disk);
	}
	disk_close(&disk);
}
END_TEST

/* A front-end leaves in the middle of its requests; the next one finds the device at work. */
/* proves: session.reconnect */
START_TEST(leave_in_flight)
{
	const struct disk_params params = {
		.storage.engine = engines[_i], .blk.workers = 1, .blk.queues = 1,
	};
	unsigned int round;

	disk_open(&disk, &params);
	for (round = 0; round < 5; round++) {
		disk_connect(&disk, DISK_FEATURES, 1);
		write_many(0, 64, DISK_DEPTH, 0x77);
		disk_disconnect(&disk);
	}
	disk_connect(&disk, DISK_FEATURES, 1);
	write_many(0, 64, DISK_DEPTH, 0x88);
	reap_many(0, DISK_DEPTH);
	disk_check_fill(&disk, 64, DISK_DEPTH, 0x88);
	disk_down(&disk);
}
END_TEST

/*
 * Capacity
 */

static void expect_capacity(uint64_t sectors)
{
	uint64_t capacity = 0;

	ck_assert_int_eq(fe_get_config(&disk.fe, offsetof(struct virtio_blk_config, capacity),
				       &capacity, sizeof(capacity)), 0);
	ck_assert_uint_eq(le64toh(capacity), sectors);
}

/* The front-end is told that the config space has changed. */
static void expect_news(bool told)
{
	struct fe_msg msg;

	if (told)
		ck_assert_int_eq(fe_backend_expect(&disk.fe, VU_BACKEND_CONFIG_CHANGE_MSG, &msg,
						   FE_TIMEOUT_MS), 0);
	/* What had to be said has been said before this answer. */
	expect_capacity(disk.sectors);
	ck_assert_int_eq(fe_backend_receive(&disk.fe, &msg, 0), -ETIMEDOUT);
}

static void expect_end(uint64_t sectors)
{
	uint8_t buf[2 * SECTOR] = { 0 };
	struct disk_range r = { sectors - 1, 2, 0 };

	disk_expect(&disk, VIRTIO_BLK_T_OUT, sectors - 1, buf, SECTOR, VIRTIO_BLK_S_OK, 1);
	disk_expect(&disk, VIRTIO_BLK_T_IN, sectors, buf, SECTOR, VIRTIO_BLK_S_IOERR, 0);
	disk_expect(&disk, VIRTIO_BLK_T_OUT, sectors - 1, buf, sizeof(buf), VIRTIO_BLK_S_IOERR, 1);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_DISCARD, &r, 1, VIRTIO_BLK_S_IOERR);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, &r, 1, VIRTIO_BLK_S_IOERR);
	expect_capacity(sectors);
}

/* _i: 1 for workers of their own. */
START_TEST(capacity_changes)
{
	struct disk_params params = { .blk = { .queues = 2, .workers = _i ? 2 : 0 } };

	disk_open(&disk, &params);
	disk_greet(&disk, DISK_FEATURES);
	ck_assert_int_eq(fe_set_backend_req_fd(&disk.fe), 0);
	disk_start(&disk, 2);
	expect_end(DISK_SECTORS);
	ck_assert_int_eq(disk_resize(&disk, 2 * DISK_SECTORS * SECTOR), 0);
	disk.sectors = 2 * DISK_SECTORS;
	expect_news(true);
	expect_end(2 * DISK_SECTORS);
	ck_assert_int_eq(disk_resize(&disk, 0), 0);
	expect_news(false);

	/* Somebody else cuts it. */
	ck_assert_int_eq(ftruncate(disk.image, 100 * SECTOR), 0);
	ck_assert_int_eq(disk_resize(&disk, 0), 0);
	disk.sectors = 100;
	expect_news(true);
	expect_end(100);
	ck_assert_int_eq(disk_resize(&disk, 100 * SECTOR + 1), -EINVAL);
	expect_news(false);
	disk_disconnect(&disk);

	/* Nobody is there. */
	ck_assert_int_eq(disk_resize(&disk, DISK_SECTORS * SECTOR), 0);
	disk_connect(&disk, DISK_FEATURES, 1);
	expect_end(DISK_SECTORS);
	disk_expect_alive(&disk);
	disk_down(&disk);
}
END_TEST

static Suite *virtio_blk_modes_suite(void)
{
	Suite *s = suite_create("virtio_blk_modes");
	TCase *tc = tcase_create("modes");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, not_negotiated);
	tcase_add_loop_test(tc, read_only, 0, 2);
	tcase_add_loop_test(tc, cache_mode, 0, ARRAY_SIZE(modes));
	tcase_add_test(tc, cache_mode_changes);
	tcase_add_test(tc, cache_mode_and_reset);
	tcase_add_test(tc, cache_mode_refused);
	tcase_add_loop_test(tc, storage_error, 0, ARRAY_SIZE(faults));
	tcase_add_test(tc, storage_error_in_a_range);
	tcase_add_loop_test(tc, batches, 0, ARRAY_SIZE(engines));
	tcase_add_loop_test(tc, queues_on_workers, 0, ARRAY_SIZE(engines));
	tcase_add_loop_test(tc, leave_in_flight, 0, ARRAY_SIZE(engines));
	tcase_add_loop_test(tc, capacity_changes, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(virtio_blk_modes_suite());
}
