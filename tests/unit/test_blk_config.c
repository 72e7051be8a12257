/* SPDX-License-Identifier: BSD-3-Clause */
/* What a virtio-blk driver is offered for which image and options. */
#include "disk.h"

#include <endian.h>
#include <string.h>

#include "tap.h"
#include "util.h"

#define F(name) FE_BIT(VIRTIO_BLK_F_##name)
#define ALWAYS (F(SEG_MAX) | F(BLK_SIZE) | F(TOPOLOGY) | F(FLUSH) | F(CONFIG_WCE))

/* An image which can everything. */
static struct storage_info info;
static struct virtio_blk_params params;

static void setup(void)
{
	info = (struct storage_info){
		.size = UINT64_C(1) << 40, .block_size = 512, .physical_block = 4096,
		.opt_io = 1 << 20, .discard_max = 1 << 30, .discard_align = 8192,
		.zeroes_max = 1 << 24, .zero_unmap = true, .volatile_cache = true,
	};
	params = (struct virtio_blk_params){ .block_size = 512, .queues = 1 };
}

static struct virtio_blk_config config(void)
{
	struct virtio_blk_config c;

	memset(&c, 0xff, sizeof(c));
	virtio_blk_fill_config(&c, &params, &info);
	return c;
}

START_TEST(features)
{
	ck_assert_uint_eq(virtio_blk_features(&params, &info),
			  ALWAYS | F(DISCARD) | F(WRITE_ZEROES));
	params.queues = 2;
	ck_assert_uint_eq(virtio_blk_features(&params, &info),
			  ALWAYS | F(DISCARD) | F(WRITE_ZEROES) | F(MQ));
	params.queues = 1;
	info.discard_max = 0;
	ck_assert_uint_eq(virtio_blk_features(&params, &info), ALWAYS | F(WRITE_ZEROES));
	info.read_only = true;
	info.discard_max = 512;
	ck_assert_uint_eq(virtio_blk_features(&params, &info), ALWAYS | F(RO));
}
END_TEST

START_TEST(fields)
{
	struct virtio_blk_config c;

	params.queues = 5;
	c = config();
	ck_assert_uint_eq(le64toh(c.capacity), UINT64_C(1) << 31);
	ck_assert_uint_eq(c.size_max, 0);
	ck_assert_uint_eq(le32toh(c.blk_size), 512);
	ck_assert_uint_eq(c.physical_block_exp, 3);
	ck_assert_uint_eq(c.alignment_offset, 0);
	ck_assert_uint_eq(le16toh(c.min_io_size), 8);
	ck_assert_uint_eq(le32toh(c.opt_io_size), 2048);
	ck_assert_uint_eq(c.wce, 1);
	ck_assert_uint_eq(c.unused, 0);
	ck_assert_uint_eq(le16toh(c.num_queues), 5);
	ck_assert_uint_eq(le32toh(c.max_discard_sectors), 1 << 21);
	ck_assert_uint_eq(le32toh(c.max_discard_seg), VIRTIO_BLK_RANGES_MAX);
	ck_assert_uint_eq(le32toh(c.discard_sector_alignment), 16);
	ck_assert_uint_eq(le32toh(c.max_write_zeroes_sectors), 1 << 15);
	ck_assert_uint_eq(le32toh(c.max_write_zeroes_seg), VIRTIO_BLK_RANGES_MAX);
	ck_assert_uint_eq(c.write_zeroes_may_unmap, 1);
	ck_assert_uint_eq(c.unused1[0] | c.unused1[1] | c.unused1[2], 0);
}
END_TEST

/* Fields of features which are not offered are 0. */
START_TEST(fields_not_offered)
{
	struct virtio_blk_config c;

	info.volatile_cache = false;
	info.zero_unmap = false;
	info.discard_max = 0;
	c = config();
	ck_assert_uint_eq(c.wce, 0);
	ck_assert_uint_eq(c.write_zeroes_may_unmap, 0);
	ck_assert_uint_eq(c.max_discard_sectors | c.max_discard_seg, 0);
	ck_assert_uint_eq(c.discard_sector_alignment, 0);
	ck_assert_uint_ne(c.max_write_zeroes_sectors, 0);
	info.read_only = true;
	c = config();
	ck_assert_uint_eq(c.max_write_zeroes_sectors | c.max_write_zeroes_seg, 0);
}
END_TEST

START_TEST(large_blocks)
{
	struct virtio_blk_config c;

	params.block_size = 4096;
	c = config();
	ck_assert_uint_eq(le64toh(c.capacity), UINT64_C(1) << 31);
	ck_assert_uint_eq(le32toh(c.blk_size), 4096);
	ck_assert_uint_eq(c.physical_block_exp, 0);
	ck_assert_uint_eq(le16toh(c.min_io_size), 1);
	ck_assert_uint_eq(le32toh(c.opt_io_size), 256);
	info.physical_block = 512;
	c = config();
	ck_assert_uint_eq(c.physical_block_exp, 0);
	ck_assert_uint_eq(le16toh(c.min_io_size), 1);
}
END_TEST

/* Limits beyond 32 bits of sectors are cut, not wrapped. */
START_TEST(large_limits)
{
	struct virtio_blk_config c;

	info.discard_max = UINT64_C(1) << 41;
	info.zeroes_max = UINT64_MAX;
	info.physical_block = 1u << 30;
	c = config();
	ck_assert_uint_eq(le32toh(c.max_discard_sectors), UINT32_MAX);
	ck_assert_uint_eq(le32toh(c.max_write_zeroes_sectors), UINT32_MAX);
	ck_assert_uint_eq(c.physical_block_exp, 21);
	ck_assert_uint_eq(le16toh(c.min_io_size), UINT16_MAX);
}
END_TEST

static const struct {
	unsigned int queue_size, seg_max;
} segments[] = {
	{ 0, 126 }, { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 128, 126 }, { 256, 254 },
	{ 1024, 1022 }, { 32768, 1022 },
};

START_TEST(segment_limit)
{
	params.queue_size = segments[_i].queue_size;
	ck_assert_uint_eq(le32toh(config().seg_max), segments[_i].seg_max);
}
END_TEST

/* The device tells all of it to the front-end, and zeroes behind it. */
START_TEST(told_to_the_front_end)
{
	static struct disk disk;
	const struct disk_params disk_params = { .blk.queues = 3, .blk.block_size = 4096 };
	struct virtio_blk_config want;
	uint8_t found[VIRTIO_BLK_CONFIG_LEN + 8];
	uint64_t queues;

	disk_up(&disk, &disk_params, DISK_FEATURES);
	params.queues = 3;
	params.block_size = 4096;
	storage_info(disk.storage, &info);
	want = config();
	ck_assert_uint_eq(le64toh(want.capacity), DISK_SECTORS);
	ck_assert_int_eq(fe_get_config(&disk.fe, 0, found, sizeof(found)), 0);
	ck_assert_mem_eq(found, &want, VIRTIO_BLK_CONFIG_LEN);
	ck_assert_mem_eq(found + VIRTIO_BLK_CONFIG_LEN, "\0\0\0\0\0\0\0", 8);
	ck_assert_int_eq(fe_get_queue_num(&disk.fe, &queues), 0);
	ck_assert_uint_eq(queues, 3);
	ck_assert_uint_eq(disk.fe.offered & (FE_BIT(24) - 1), virtio_blk_features(&params, &info));
	disk_down(&disk);
}
END_TEST

static Suite *blk_config_suite(void)
{
	Suite *s = suite_create("blk_config");
	TCase *tc = tcase_create("config");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, features);
	tcase_add_test(tc, fields);
	tcase_add_test(tc, fields_not_offered);
	tcase_add_test(tc, large_blocks);
	tcase_add_test(tc, large_limits);
	tcase_add_loop_test(tc, segment_limit, 0, ARRAY_SIZE(segments));
	tcase_add_test(tc, told_to_the_front_end);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(blk_config_suite());
}
