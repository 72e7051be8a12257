/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-blk requests through a real device, queue and storage. */
#include "disk.h"

#include <endian.h>
#include <string.h>

#include "tap.h"
#include "util.h"

#define SECTOR	FE_BLK_SECTOR
#define END	DISK_SECTORS

static struct disk disk;
static const struct disk_params plain = { 0 };

/*
 * Framing
 */

static const uint32_t cuts[] = { 0, 1000, 512, 77, 3000 };

static void framed_write_and_read(struct fe_blk_req *like, uint8_t byte)
{
	uint8_t buf[6 * SECTOR];
	uint32_t used;

	like->len = sizeof(buf);
	memset(buf, byte, sizeof(buf));
	like->type = VIRTIO_BLK_T_OUT;
	ck_assert_int_eq(disk_run(&disk, like, buf, &used), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(used, 1);
	disk_check_old(&disk, like->sector - 1, 1);
	disk_check_fill(&disk, like->sector, 6, byte);
	disk_check_old(&disk, like->sector + 6, 1);

	memset(buf, 0, sizeof(buf));
	like->type = VIRTIO_BLK_T_IN;
	ck_assert_int_eq(disk_run(&disk, like, buf, &used), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(used, sizeof(buf) + 1);
	ck_assert_uint_eq(buf[0], byte);
	ck_assert_mem_eq(buf, buf + 1, sizeof(buf) - 1);
}

/* _i: FE_BLK_CUT_HDR, _JOIN_HDR, _JOIN_STATUS, and 8 for direct chains. */
/* proves: chain.header-split */
START_TEST(framing)
{
	struct fe_blk_req like = { .framing = (unsigned int)_i & 7, .sector = 9 };
	unsigned int i;

	disk_up(&disk, &plain, DISK_FEATURES);
	if (_i & 8)
		disk.ring[0].indirect = 0;
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		like.cut = cuts[i];
		like.shift = i & 1 ? 0 : 3 + 1021 * i;
		framed_write_and_read(&like, (uint8_t)(0xc0 + i));
	}
	disk_down(&disk);
}
END_TEST

START_TEST(framing_of_ranges)
{
	const struct disk_range r[3] = { { 4, 2, 0 }, { 8, 1, 0 }, { 20, 5, 0 } };
	uint8_t buf[64];
	struct fe_blk_req like = {
		.type = VIRTIO_BLK_T_WRITE_ZEROES, .framing = (unsigned int)_i, .cut = 7,
		.len = disk_put_ranges(buf, r, 3),
	};
	uint32_t used;

	disk_up(&disk, &plain, DISK_FEATURES);
	ck_assert_int_eq(disk_run(&disk, &like, buf, &used), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(used, 1);
	disk_check_fill(&disk, 4, 2, 0);
	disk_check_old(&disk, 6, 2);
	disk_check_fill(&disk, 8, 1, 0);
	disk_check_old(&disk, 9, 11);
	disk_check_fill(&disk, 20, 5, 0);
	disk_check_old(&disk, 25, 10);
	disk_down(&disk);
}
END_TEST

/* Bytes which a request has, and may have too few of. */
static const struct {
	const char *what;
	uint32_t out, in;
} malformed_cases[] = {
	{ "no status", 16, 0 },
	{ "a short header", 15, 1 },
	{ "a header of one byte", 1, 513 },
	{ "no header", 0, 1 },
	{ "a short header and no status", 4, 0 },
};

START_TEST(malformed)
{
	uint8_t *mem;
	uint32_t used;
	void *cookie;

	disk_up(&disk, &plain, DISK_FEATURES);
	mem = fe_mem_alloc(&disk.mem, 4096, 16);
	memset(mem + 1024, 0xff, 1024);
	ck_assert_int_ge(fe_ring_add(&disk.ring[0],
			&(struct iovec){ mem, malformed_cases[_i].out }, !!malformed_cases[_i].out,
			&(struct iovec){ mem + 1024, malformed_cases[_i].in },
			!!malformed_cases[_i].in, mem), 0);
	fe_ring_submit(&disk.ring[0]);
	ck_assert_int_eq(fe_ring_wait(&disk.ring[0], FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&disk.ring[0], &cookie, &used), 1);
	ck_assert_msg(used == 0, "%s: used length %u", malformed_cases[_i].what, used);
	ck_assert_uint_eq(mem[1024], 0xff);
	ck_assert_uint_eq(disk_malformed(&disk), 1);
	disk_expect_alive(&disk);
	ck_assert_uint_eq(disk_malformed(&disk), 1);
	disk_down(&disk);
}
END_TEST

/*
 * Types, ranges and lengths
 */

static const struct {
	uint32_t type;
	uint64_t sector;
	uint32_t len;
	int status;
	uint32_t used;
} requests[] = {
	{ VIRTIO_BLK_T_IN, 0, 512, VIRTIO_BLK_S_OK, 513 },
	{ VIRTIO_BLK_T_IN, END - 1, 512, VIRTIO_BLK_S_OK, 513 },
	{ VIRTIO_BLK_T_IN, END - 4, 2048, VIRTIO_BLK_S_OK, 2049 },
	{ VIRTIO_BLK_T_IN, 5, 0, VIRTIO_BLK_S_OK, 1 },
	{ VIRTIO_BLK_T_IN, END, 0, VIRTIO_BLK_S_OK, 1 },
	{ VIRTIO_BLK_T_IN, END + 1, 0, VIRTIO_BLK_S_IOERR, 1 },
	{ VIRTIO_BLK_T_IN, END, 512, VIRTIO_BLK_S_IOERR, 0 },
	{ VIRTIO_BLK_T_IN, END - 3, 2048, VIRTIO_BLK_S_IOERR, 0 },
	{ VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR, 0 },
	{ VIRTIO_BLK_T_IN, UINT64_MAX - 3, 2048, VIRTIO_BLK_S_IOERR, 0 },
	/* In bytes, or in 32 bits, these wrap to the beginning. */
	{ VIRTIO_BLK_T_IN, UINT64_C(1) << 55, 512, VIRTIO_BLK_S_IOERR, 0 },
	{ VIRTIO_BLK_T_IN, UINT64_C(1) << 32, 512, VIRTIO_BLK_S_IOERR, 0 },
	{ VIRTIO_BLK_T_IN, 0, 511, VIRTIO_BLK_S_IOERR, 0 },
	{ VIRTIO_BLK_T_IN, 0, 1, VIRTIO_BLK_S_IOERR, 0 },
	{ VIRTIO_BLK_T_IN, 0, 1023, VIRTIO_BLK_S_IOERR, 0 },
	{ VIRTIO_BLK_T_OUT, END, 512, VIRTIO_BLK_S_IOERR, 1 },
	{ VIRTIO_BLK_T_OUT, END - 3, 2048, VIRTIO_BLK_S_IOERR, 1 },
	{ VIRTIO_BLK_T_OUT, UINT64_C(1) << 55, 512, VIRTIO_BLK_S_IOERR, 1 },
	{ VIRTIO_BLK_T_OUT, 3, 513, VIRTIO_BLK_S_IOERR, 1 },
	{ VIRTIO_BLK_T_OUT, 3, 0, VIRTIO_BLK_S_OK, 1 },
	{ VIRTIO_BLK_T_FLUSH, 0, 0, VIRTIO_BLK_S_OK, 1 },
	/* A status behind room which a flush does not fill. */
	{ VIRTIO_BLK_T_FLUSH, 0, 100, VIRTIO_BLK_S_OK, 0 },
	{ VIRTIO_BLK_T_FLUSH_OUT, 0, 0, VIRTIO_BLK_S_OK, 1 },
	{ VIRTIO_BLK_T_IN | VIRTIO_BLK_T_BARRIER, 0, 512, VIRTIO_BLK_S_OK, 513 },
	{ VIRTIO_BLK_T_SCSI_CMD, 0, 512, VIRTIO_BLK_S_UNSUPP, 0 },
	{ VIRTIO_BLK_T_SCSI_CMD, 0, 0, VIRTIO_BLK_S_UNSUPP, 1 },
	{ 6, 0, 0, VIRTIO_BLK_S_UNSUPP, 1 },
	{ 10, 0, 6, VIRTIO_BLK_S_UNSUPP, 0 },
	{ 12, 0, 0, VIRTIO_BLK_S_UNSUPP, 1 },
	{ VIRTIO_BLK_T_SECURE_ERASE, 0, 16, VIRTIO_BLK_S_UNSUPP, 1 },
	{ 15, 0, 0, VIRTIO_BLK_S_UNSUPP, 1 },
	{ 0x7fffffff, 0, 512, VIRTIO_BLK_S_UNSUPP, 0 },
};

/* proves: queue.used-length */
START_TEST(status_and_used_length)
{
	static uint8_t buf[DISK_DATA_MAX];
	unsigned int i;

	disk_up(&disk, &plain, DISK_FEATURES);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		unsigned int submits = spy.submits;

		memset(buf, 0xee, sizeof(buf));
		disk_expect(&disk, requests[i].type, requests[i].sector, buf, requests[i].len,
		       requests[i].status, requests[i].used);
		/* What is wrong is found before the storage has to find it. */
		if (requests[i].status != VIRTIO_BLK_S_OK)
			ck_assert_uint_eq(spy.submits, submits);
	}
	disk_check_old(&disk, 0, DISK_SECTORS);
	disk_expect_alive(&disk);
	disk_down(&disk);
}
END_TEST

/* What is not whole pages and blocks is written without touching its neighbours. */
START_TEST(sector_of_a_large_block)
{
	const struct disk_params params = {
		.storage = { .block_size = 4096, .align = 4096 }, .blk.block_size = 4096,
	};
	uint8_t buf[3 * SECTOR];

	disk_up(&disk, &params, DISK_FEATURES);
	memset(buf, 0x99, sizeof(buf));
	disk_expect(&disk, VIRTIO_BLK_T_OUT, 13, buf, sizeof(buf), VIRTIO_BLK_S_OK, 1);
	disk_check_old(&disk, 0, 13);
	disk_check_fill(&disk, 13, 3, 0x99);
	disk_check_old(&disk, 16, 16);
	disk_down(&disk);
}
END_TEST

static const struct {
	const char *serial;
	uint32_t room;
	const char *found;		/* all of the room, if it is not longer */
	uint32_t used;
} serials[] = {
	{ "disk-7", 20, "disk-7\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21 },
	{ "12345678901234567890", 20, "12345678901234567890", 21 },
	{ NULL, 20, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21 },
	{ "disk-7", 4, "disk", 5 },
	{ "disk-7", 0, "", 1 },
	/* The status lies behind what is not filled. */
	{ "disk-7", 24, "disk-7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xee\xee\xee\xee", 20 },
};

START_TEST(get_id)
{
	const struct disk_params params = { .blk.serial = serials[_i].serial };
	uint8_t buf[32];

	disk_up(&disk, &params, DISK_FEATURES);
	memset(buf, 0xee, sizeof(buf));
	disk_expect(&disk, VIRTIO_BLK_T_GET_ID, 0, buf, serials[_i].room, VIRTIO_BLK_S_OK,
		    serials[_i].used);
	if (serials[_i].room)
		ck_assert_mem_eq(buf, serials[_i].found, serials[_i].room);
	disk_down(&disk);
}
END_TEST

/*
 * Discard and write zeroes
 */

#define UNMAP VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP

static const struct {
	uint64_t sector;
	uint32_t num, flags;
	int discard, zeroes;		/* status */
} ranges[] = {
	{ 0, 8, 0, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK },
	{ 0, 0, 0, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK },
	{ END - 8, 8, 0, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK },
	{ END, 0, 0, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK },
	{ 0, 8, UNMAP, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_OK },
	{ 0, 8, 2, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP },
	{ 0, 8, 0x80000000, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP },
	{ 0, 8, UNMAP | 4, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP },
	{ END - 7, 8, 0, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
	{ END + 1, 0, 0, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
	{ 0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
	{ UINT64_MAX, 1, 0, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
	{ UINT64_MAX - 7, 8, 0, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
	{ UINT64_C(1) << 55, 8, 0, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
	{ UINT64_C(1) << 32, 8, 0, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
};

START_TEST(one_range)
{
	struct disk_range r = { ranges[_i].sector, ranges[_i].num, ranges[_i].flags };
	bool zero = ranges[_i].zeroes == VIRTIO_BLK_S_OK && ranges[_i].sector < END;

	disk_up(&disk, &plain, DISK_FEATURES);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, &r, 1, ranges[_i].zeroes);
	disk_check_old(&disk, 8, END - 16);
	if (zero)
		disk_check_fill(&disk, ranges[_i].sector, ranges[_i].num, 0);
	if (!zero || ranges[_i].sector)
		disk_check_old(&disk, 0, 8);
	disk_expect_ranges(&disk, VIRTIO_BLK_T_DISCARD, &r, 1, ranges[_i].discard);
	disk_check_old(&disk, 8, END - 16);
	if (!ranges[_i].num)
		ck_assert_uint_eq(spy.submits, 0);
	disk_down(&disk);
}
END_TEST

static const uint32_t range_types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

START_TEST(length_of_ranges)
{
	static const uint32_t wrong[] = { 0, 1, 15, 17, 31, 1008 + 15 };
	uint32_t type = range_types[_i];
	struct disk_range r[VIRTIO_BLK_RANGES_MAX + 1];
	uint8_t buf[16 * ARRAY_SIZE(r)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = (struct disk_range){ 2 * i, 1, 0 };
	disk_put_ranges(buf, r, ARRAY_SIZE(r));
	disk_up(&disk, &plain, DISK_FEATURES);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		disk_expect(&disk, type, 0, buf, wrong[i], VIRTIO_BLK_S_IOERR, 1);
	disk_expect_ranges(&disk, type, r, ARRAY_SIZE(r), VIRTIO_BLK_S_IOERR);
	disk_check_old(&disk, 0, END);
	disk_expect_ranges(&disk, type, r, ARRAY_SIZE(r) - 1, VIRTIO_BLK_S_OK);
	for (i = 0; i < VIRTIO_BLK_RANGES_MAX; i++) {
		if (type == VIRTIO_BLK_T_WRITE_ZEROES)
			disk_check_fill(&disk, 2 * i, 1, 0);
		disk_check_old(&disk, 2 * i + 1, 1);
	}
	disk_down(&disk);
}
END_TEST

/* The limits which the driver is told hold, on a disk which is larger. */
START_TEST(limits_of_ranges)
{
	const struct disk_params params = {
		.storage.engine = STORAGE_ENGINE_NULL, .sectors = UINT64_C(1) << 32,
	};
	struct virtio_blk_config config;
	struct disk_range r = { 7, 0, 0 };

	disk_up(&disk, &params, DISK_FEATURES);
	ck_assert_int_eq(fe_get_config(&disk.fe, 0, &config, VIRTIO_BLK_CONFIG_LEN), 0);
	r.num = range_types[_i] == VIRTIO_BLK_T_DISCARD ? le32toh(config.max_discard_sectors) :
							  le32toh(config.max_write_zeroes_sectors);
	disk_expect_ranges(&disk, range_types[_i], &r, 1, VIRTIO_BLK_S_OK);
	r.num++;
	disk_expect_ranges(&disk, range_types[_i], &r, 1, VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(spy.submits, 1);
	disk_down(&disk);
}
END_TEST

/* What is wrong with the last range is found before the first one is carried out. */
START_TEST(one_bad_range)
{
	struct disk_range r[3] = { { 0, 8, 0 }, { 16, 8, 0 }, { END, 8, 0 } };

	disk_up(&disk, &plain, DISK_FEATURES);
	disk_expect_ranges(&disk, range_types[_i], r, 3, VIRTIO_BLK_S_IOERR);
	r[2] = (struct disk_range){ 0, 8, 2 };
	disk_expect_ranges(&disk, range_types[_i], r, 3, VIRTIO_BLK_S_UNSUPP);
	disk_check_old(&disk, 0, END);
	disk_down(&disk);
}
END_TEST

static uint8_t *changing_range;

/* Between the device's check and its use the driver moves a range out of the disk. */
static void change_range(struct storage_io *io)
{
	const struct disk_range bad = { END - 1, 2, 0 };

	(void)io;
	disk_put_ranges(changing_range, &bad, 1);
}

/* proves: chain.header-copied */
START_TEST(range_changes)
{
	const struct disk_range r[2] = { { 0, 8, 0 }, { 16, 8, 0 } };
	struct fe_blk_req *req;

	disk_up(&disk, &plain, DISK_FEATURES);
	req = fe_blk_get(&disk.fb[0]);
	req->type = VIRTIO_BLK_T_WRITE_ZEROES;
	req->len = disk_put_ranges(fe_blk_data(req), r, 2);
	changing_range = fe_blk_data(req) + req->len / 2;
	atomic_store(&spy.hook, change_range);
	ck_assert_int_eq(fe_blk_run(&disk.fb[0], req), VIRTIO_BLK_S_IOERR);
	atomic_store(&spy.hook, NULL);
	ck_assert_uint_eq(spy.submits, 1);
	disk_check_fill(&disk, 0, 8, 0);
	disk_check_old(&disk, 8, END - 8);
	disk_down(&disk);
}
END_TEST

static Suite *virtio_blk_suite(void)
{
	Suite *s = suite_create("virtio_blk");
	TCase *tc = tcase_create("requests");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, framing, 0, 16);
	tcase_add_loop_test(tc, framing_of_ranges, 0, 8);
	tcase_add_loop_test(tc, malformed, 0, ARRAY_SIZE(malformed_cases));
	tcase_add_test(tc, status_and_used_length);
	tcase_add_test(tc, sector_of_a_large_block);
	tcase_add_loop_test(tc, get_id, 0, ARRAY_SIZE(serials));
	tcase_add_loop_test(tc, one_range, 0, ARRAY_SIZE(ranges));
	tcase_add_loop_test(tc, length_of_ranges, 0, ARRAY_SIZE(range_types));
	tcase_add_loop_test(tc, limits_of_ranges, 0, ARRAY_SIZE(range_types));
	tcase_add_loop_test(tc, one_bad_range, 0, ARRAY_SIZE(range_types));
	tcase_add_test(tc, range_changes);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(virtio_blk_suite());
}
