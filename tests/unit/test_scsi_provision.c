/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks which are there or not (SBC-3 4.7): WRITE SAME, UNMAP, GET LBA STATUS, FORMAT UNIT. */
#include <fcntl.h>
#include <string.h>

#include "scsi_fixture.h"

#define BLOCKS		1024		/* of the usual disk */

/* Operations which commands are made of. */
void __real_storage_submit(struct storage_chan *chan, struct storage_io *io);
void __wrap_storage_submit(struct storage_chan *chan, struct storage_io *io);

static unsigned int submits;

void __wrap_storage_submit(struct storage_chan *chan, struct storage_io *io)
{
	submits++;
	__real_storage_submit(chan, io);
}

START_TEST(test_write_same)
{
	static const struct sf_case cases[] = {
		{ "(10)", "41 00 00 00 00 05 00 00 02", "a1*512", 0, SF_GOOD, 512 },
		{ "(16)", "93 00 00*7 07 00 00 00 01", "a2*512", 0, SF_GOOD, 512 },
		{ "many", "93 00 00*6 01 00 00 00 02 01", "a3*512", 0, SF_GOOD, 512 },
		{ "zeroes", "93 00 00*7 08 00 00 00 01", "00*512", 0, SF_GOOD, 512 },
		{ "unmap", "93 08 00*7 09 00 00 00 01", "00*512", 0, SF_GOOD, 512 },
		{ "unmap what is not zeroes", "93 08 00*7 0a 00 00 00 01", "a4*512", 0, SF_GOOD,
		  512 },
		{ "no data", "93 01 00*7 0b 00 00 00 01" },
		{ "no data, unmap", "93 09 00*7 0c 00 00 00 01" },
		{ "unmap (10)", "41 08 00 00 00 0d 00 00 01", "00*512", 0, SF_GOOD, 512 },
		{ "no data in (10)", "41 01 00 00 00 0e 00 00 01", NULL, 0, BAD_CDB, 0, NULL,
		  SF_CDB(1) },
		{ "anchor", "93 18 00*7 0e 00 00 00 01", "00*512", 0, BAD_CDB },
		{ "LBDATA", "41 02 00 00 00 0e 00 00 01", "00*512", 0, BAD_CDB },
		{ "no blocks (16)", "93 00 00*7 0e 00 00 00 00", "00*512", 0, BAD_CDB, 0, NULL,
		  SF_CDB(10) },
		{ "no blocks (10)", "41 00 00 00 00 0e 00 00 00", "00*512", 0, BAD_CDB, 0, NULL,
		  SF_CDB(7) },
		{ "beyond", "93 00 00*6 03 ff 00 00 00 02", "00*512", 0, BAD_LBA },
		{ "wraps", "93 00 ff*8 00 00 00 02", "00*512", 0, BAD_LBA },
		{ "less than a block", "93 00 00*7 0e 00 00 00 01", "00*511", 0, SF_OVERRUN },
		{ "no data given", "93 00 00*7 0e 00 00 00 01", NULL, 0, SF_OVERRUN },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	sf_fill(&sf);
	SF_RUN(&sf, cases);
	sf_image_is(&sf, 5, 2, 0xa1);
	sf_image_is(&sf, 7, 1, 0xa2);
	sf_image_is(&sf, 8, 2, 0);
	sf_image_is(&sf, 10, 1, 0xa4);
	sf_image_is(&sf, 11, 3, 0);
	sf_image_is(&sf, 14, 1, 15);
	sf_image_is(&sf, 255, 1, 0);
	sf_image_is(&sf, 256, 513, 0xa3);
	sf_image_is(&sf, 769, 1, 2);
	sf_close(&sf);
}
END_TEST

#define RANGE(lba, blocks)	" 00*6 " lba " 00*2 " blocks " 00*4"

START_TEST(test_unmap)
{
	static const struct sf_case cases[] = {
		{ "no list", "42 00 00 00 00 00 00 00 00" },
		{ "less than a header", "42 00 00 00 00 00 00 00 07", "00*7", 0, BAD_LENGTH },
		{ "a header", "42 00 00 00 00 00 00 00 08", "00 06 00 00 00*4", 0, SF_GOOD, 8 },
		{ "a range", "42 00 00 00 00 00 00 00 18",
		  "00 16 00 10 00*4" RANGE("00 05", "00 01"), 0, SF_GOOD, 24 },
		{ "two, one of them empty", "42 00 00 00 00 00 00 00 28",
		  "00 26 00 20 00*4" RANGE("00 09", "00 00") RANGE("00 07", "00 02"), 0, SF_GOOD,
		  40 },
		{ "a part of one", "42 00 00 00 00 00 00 00 28",
		  "00 26 00 1f 00*4" RANGE("00 0c", "00 01") RANGE("00 0d", "00 01"), 0, SF_GOOD,
		  40 },
		{ "a list which is cut off", "42 00 00 00 00 00 00 00 18",
		  "00 26 00 20 00*4" RANGE("00 0e", "00 01") RANGE("00 0f", "00 01"), 0, SF_GOOD,
		  24 },
		{ "the second beyond", "42 00 00 00 00 00 00 00 28",
		  "00 26 00 20 00*4" RANGE("00 10", "00 01") RANGE("04 00", "00 01"), 0, BAD_LBA },
		{ "wraps", "42 00 00 00 00 00 00 00 18", "00 16 00 10 00*4 ff*8 00 00 00 02 00*4",
		  0, BAD_LBA },
		{ "anchor", "42 01 00 00 00 00 00 00 18", "00*24", 0, BAD_CDB, 0, NULL,
		  SF_CDB(1) },
		{ "group", "42 00 00 00 00 00 01 00 18", "00*24", 0, BAD_CDB, 0, NULL, SF_CDB(6) },
		{ "less data", "42 00 00 00 00 00 00 00 18", "00*23", 0, SF_OVERRUN },
		{ "too many", "42 00 00 00 00 00 00 10 18", "10 16 10 10 00*4116", 0, BAD_PARAM },
		{ "most", "42 00 00 00 00 00 00 10 08", "10 06 10 00 00*4100", 0, SF_GOOD, 4104 },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	sf_fill(&sf);
	SF_RUN(&sf, cases);
	sf_image_is(&sf, 4, 1, 5);
	sf_image_is(&sf, 5, 1, 0);
	sf_image_is(&sf, 6, 1, 7);
	sf_image_is(&sf, 7, 2, 0);
	sf_image_is(&sf, 9, 1, 10);
	sf_image_is(&sf, 12, 1, 0);
	sf_image_is(&sf, 13, 1, 14);
	sf_image_is(&sf, 14, 1, 0);
	sf_image_is(&sf, 15, 1, 16);
	sf_image_is(&sf, 16, 1, 17);
	sf_close(&sf);
}
END_TEST

#define STATUS(lba, blocks, status) " 00*6 " lba " 00*2 " blocks " " status " 00*3"

/* Blocks from here on become a hole. */
static void punch(const struct sf *sf, off_t lba, off_t blocks)
{
	ck_assert_int_eq(fallocate(sf->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, lba * 512,
				   blocks * 512), 0);
}

/* Holes of an image in memory are made of pages, which are eight blocks. */
START_TEST(test_lba_status)
{
	static const struct sf_case cases[] = {
		{ "all", "9e 12 00*8 00 00 04 00", NULL, 1024, SF_GOOD, 88,
		  "00 00 00 54 00*4" STATUS("00 00", "00 10", "00") STATUS("00 10", "00 08", "01")
		  STATUS("00 18", "00 28", "00") STATUS("00 40", "00 40", "01")
		  STATUS("00 80", "03 80", "00") },
		{ "from within a hole", "9e 12 00*6 00 47 00 00 00 28", NULL, 40, SF_GOOD, 40,
		  "00 00 00 24 00*4" STATUS("00 47", "00 39", "01") STATUS("00 80", "03 80", "00") },
		{ "from before one", "9e 12 00*6 00 3f 00 00 00 28", NULL, 40, SF_GOOD, 40,
		  "00 00 00 24 00*4" STATUS("00 3f", "00 01", "00") STATUS("00 40", "00 40", "01") },
		{ "room for one", "9e 12 00*8 00 00 00 18", NULL, 24, SF_GOOD, 24,
		  "00 00 00 14 00*4" STATUS("00 00", "00 10", "00") },
		{ "less than for two", "9e 12 00*8 00 00 00 27", NULL, 39, SF_GOOD, 24,
		  "00 00 00 14 00*4" STATUS("00 00", "00 10", "00") },
		{ "less than for one", "9e 12 00*6 00 10 00 00 00 14", NULL, 20, SF_GOOD, 20,
		  "00 00 00 14 00*4 00*6 00 10 00*2 00 08" },
		{ "less than for the header", "9e 12 00*8 00 00 00 04", NULL, 4, SF_GOOD, 4,
		  "00 00 00 14" },
		{ "nothing", "9e 12 00*8 00 00 00 00" },
		{ "less room than allocated", "9e 12 00*8 00 00 00 18", NULL, 23, SF_OVERRUN },
		{ "the last one", "9e 12 00*6 03 ff 00 00 00 18", NULL, 24, SF_GOOD, 24,
		  "00 00 00 14 00*4" STATUS("03 ff", "00 01", "00") },
		{ "UNMAP, less than a page before and behind", "42 00 00 00 00 00 00 00 18",
		  "00 16 00 10 00*4" RANGE("03 ee", "00 12"), 0, SF_GOOD, 24 },
		{ "at the end", "9e 12 00*6 03 e0 00 00 00 88", NULL, 136, SF_GOOD, 40,
		  "00 00 00 24 00*4" STATUS("03 e0", "00 10", "00") STATUS("03 f0", "00 10", "01") },
		{ "WRITE into it", "2a 00 00 00 03 f8 00 00 01", "00*512", 0, SF_GOOD, 512 },
		{ "mapped again", "9e 12 00*6 03 f0 00 00 00 88", NULL, 136, SF_GOOD, 40,
		  "00 00 00 24 00*4" STATUS("03 f0", "00 08", "01") STATUS("03 f8", "00 08", "00") },
		{ "beyond", "9e 12 00*6 04 00 00 00 00 18", NULL, 24, BAD_LBA },
		{ "far beyond", "9e 12 ff*8 00 00 00 18", NULL, 24, BAD_LBA },
		{ "reserved", "9e 12 00*8 00 00 00 18 01", NULL, 24, BAD_CDB, 0, NULL,
		  SF_CDB(14) },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	sf_fill(&sf);
	punch(&sf, 16, 8);
	punch(&sf, 64, 64);
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

/* More runs than one answer tells; and a unit of other blocks. */
START_TEST(test_lba_status_many)
{
	static const struct sf_case cases[] = {
		{ "as many as there are", "9e 12 00*8 00 00 ff 00", NULL, 65280, SF_GOOD, 4104,
		  "00 00 10 04 00*4" STATUS("00 00", "00 01", "00") STATUS("00 01", "00 01", "01")
		  STATUS("00 02", "00 01", "00") },
		{ "the rest", "9e 12 00*6 01 00 00 00 ff 00", NULL, 65280, SF_GOOD, 40,
		  "00 00 00 24 00*4" STATUS("01 00", "00 01", "00") STATUS("01 01", "00 09", "01") },
	};
	const struct sf_params params = { .size = 266 * 4096, .block_size = 4096 };
	struct sf sf;
	off_t i;

	sf_open(&sf, &params);
	sf_fill(&sf);
	for (i = 1; i < 266; i += 2)
		punch(&sf, i * 8, 8);
	punch(&sf, 257 * 8, 9 * 8);
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

/* All mapped: a unit which does not unmap; and it cannot be known. */
START_TEST(test_lba_status_unknown)
{
	static const struct sf_case mapped =
		{ "fully provisioned", "9e 12 00*6 00 10 00 00 00 28", NULL, 40, SF_GOOD, 24,
		  "00 00 00 14 00*4" STATUS("00 10", "03 f0", "00") };
	static const struct sf_case failed =
		{ "failed", "9e 12 00*8 00 00 00 28", NULL, 40, 0x031100 };
	const struct sf_params fixed = { .read_only = true }, faulty = { .fault = "map" };
	struct sf sf;

	sf_open(&sf, &fixed);
	sf_run(&sf, &mapped);
	sf_close(&sf);
	sf_open(&sf, &faulty);
	sf_run(&sf, &failed);
	sf_close(&sf);
}
END_TEST

START_TEST(test_format)
{
	static const struct sf_case refused[] = {
		{ "protection", "04 40", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "vendor specific", "04 00 01", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(2) },
		{ "interleave", "04 00 00 00 01", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(4) },
		{ "NACA", "04 00 00 00 00 04", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(5) },
		{ "list format", "04 14", "00*4", 0, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "no list", "04 10", NULL, 0, SF_OVERRUN },
		{ "short of a header", "04 10", "00*3", 0, SF_OVERRUN },
		{ "short of a long one", "04 30", "00*7", 0, SF_OVERRUN },
		{ "protection fields", "04 10", "01 00 00 00", 0, BAD_PARAM, 0, NULL, SF_PARAM(0) },
		{ "DCRT without FOV", "04 10", "00 20 00 00", 0, BAD_PARAM, 0, NULL, SF_PARAM(1) },
		{ "pattern", "04 10", "00 88 00 00", 0, BAD_PARAM, 0, NULL, SF_PARAM(1) },
		{ "vendor's option", "04 10", "00 01 00 00", 0, BAD_PARAM, 0, NULL, SF_PARAM(1) },
		{ "a defect", "04 10", "00 00 00 04 00*4", 0, BAD_PARAM, 0, NULL, SF_PARAM(2) },
		{ "256 of them", "04 10", "00 00 04 00", 0, BAD_PARAM, 0, NULL, SF_PARAM(2) },
		{ "one in a long list", "04 30", "00*7 08 00*8", 0, BAD_PARAM, 0, NULL,
		  SF_PARAM(4) },
		{ "interval of protection", "04 30", "00 00 00 01 00*4", 0, BAD_PARAM, 0, NULL,
		  SF_PARAM(3) },
		{ "stop", "1b 00 00 00 00" },
		{ "stopped", "04", NULL, 0, 0x020402 },
		{ "start", "1b 00 00 00 01" },
		{ "the data is there", "2f 06 00 00 00 00 00 00 01", "01*512", 0, SF_GOOD, 512 },
	};
	static const struct sf_case accepted[] = {
		{ "no data", "04" },
		{ "what does not matter then", "04 2e" },
		{ "header", "04 10", "00*4", 0, SF_GOOD, 4 },
		{ "of sg_format", "04 18", "00 02 00 00", 0, SF_GOOD, 4 },
		{ "long, with all options", "04 38", "00 f2 00*6", 0, SF_GOOD, 8 },
	};
	static const struct sf_case after[] = {
		{ "first block", "2f 06 00 00 00 00 00 00 01", "00*512", 0, SF_GOOD, 512 },
		{ "room is given back", "9e 12 00*8 00 00 00 28", NULL, 40, SF_GOOD, 24,
		  "00 00 00 14 00*4" STATUS("00 00", "04 00", "01") },
	};
	const struct sf_params params = { 0 };
	struct sf sf;
	size_t i;

	sf_open(&sf, &params);
	sf_fill(&sf);
	SF_RUN(&sf, refused);
	for (i = 0; i < ARRAY_SIZE(accepted); i++) {
		sf_fill(&sf);
		sf_run(&sf, &accepted[i]);
		SF_RUN(&sf, after);
		sf_image_is(&sf, 0, BLOCKS, 0);
	}
	sf_close(&sf);
}
END_TEST

/* In pieces; who writes meanwhile comes after all of it. */
START_TEST(test_format_large)
{
	/* More than one piece of 64 MiB. */
	const struct sf_params params = { .size = 160u << 20 };
	struct scsi_cmd format, write;
	struct iovec iov = { NULL, 512 };
	struct sf sf;

	sf_open(&sf, &params);
	memset(sf.image, 0x11, 4096);
	memset(sf.image + sf.size - 4096, 0x11, 4096);
	memset(sf.out, 0x22, 512);
	iov.iov_base = sf.out;
	submits = 0;
	sf_cmd(&sf, &format, "04");
	sf_start(&sf, &format);
	sf_cmd(&sf, &write, "2a 00 00 00 00 01 00 00 01");
	write.out = &iov;
	write.out_cnt = 1;
	write.out_len = 512;
	sf_start(&sf, &write);
	ck_assert(!sf_ended(&write));
	sf_wait(&sf, &format);
	sf_wait(&sf, &write);
	ck_assert_uint_eq(sf_end(&format), SF_GOOD);
	ck_assert_uint_eq(sf_end(&write), SF_GOOD);
	ck_assert_uint_eq(submits, 3 + 1);
	sf_image_is(&sf, 0, 1, 0);
	sf_image_is(&sf, 1, 1, 0x22);
	sf_image_is(&sf, 2, 6, 0);
	sf_image_is(&sf, sf.size / 512 - 8, 8, 0);
	sf_close(&sf);
}
END_TEST

START_TEST(test_format_not)
{
	static const struct sf_case failed[] = {
		{ "an error", "04", NULL, 0, 0x030c00 },
	};
	static const struct sf_case read_only[] = {
		{ "nothing can be unmapped", "04", NULL, 0, BAD_OPCODE },
	};
	static const struct sf_case durable[] = {
		{ "and flush", "04", NULL, 0, 0x030c00 },
	};
	const struct sf_params faulty = { .fault = "zeroes" }, fixed = { .read_only = true };
	const struct sf_params through = { .write_through = true, .fault = "flush" };
	struct sf sf;

	sf_open(&sf, &faulty);
	SF_RUN(&sf, failed);
	sf_close(&sf);
	sf_open(&sf, &fixed);
	SF_RUN(&sf, read_only);
	sf_close(&sf);
	sf_open(&sf, &through);
	sf_run(&sf, &durable[0]);
	sf_close(&sf);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi_provision");
	TCase *tc = tcase_create("provision");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_write_same);
	tcase_add_test(tc, test_unmap);
	tcase_add_test(tc, test_lba_status);
	tcase_add_test(tc, test_lba_status_many);
	tcase_add_test(tc, test_lba_status_unknown);
	tcase_add_test(tc, test_format);
	tcase_add_test(tc, test_format_large);
	tcase_add_test(tc, test_format_not);
	suite_add_tcase(s, tc);
	return tap_main(s);
}
