/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands on blocks (SBC-3): limits, edges, data, and what they do to the image. */
#include <string.h>

#include "scsi_fixture.h"

/* What commands make of their operations. */
void __real_storage_submit(struct storage_chan *chan, struct storage_io *io);
void __wrap_storage_submit(struct storage_chan *chan, struct storage_io *io);

static enum storage_op last_op;
static unsigned int last_flags;

/* Writes which are kept back while hold is set. */
static bool hold;
static unsigned int held, submits;
static struct {
	struct storage_chan *chan;
	struct storage_io *io;
} holds[8];

void __wrap_storage_submit(struct storage_chan *chan, struct storage_io *io)
{
	last_op = io->op;
	last_flags = io->flags;
	submits++;
	if (hold && io->op == STORAGE_WRITE && held < ARRAY_SIZE(holds)) {
		holds[held].chan = chan;
		holds[held++].io = io;
	} else {
		__real_storage_submit(chan, io);
	}
}

/* Let one go. */
static void release(unsigned int i)
{
	__real_storage_submit(holds[i].chan, holds[i].io);
	storage_commit(holds[i].chan);
}

/* What every command with these fields must say, by length of CDB. */
struct edge {
	const char *what;
	const char *cdb6, *cdb10, *cdb12, *cdb16;	/* operation codes; NULL: there is none */
	bool reads;					/* data-in */
	bool writes;					/* data-out */
};

static const struct edge edges[] = {
	{ "READ", "08", "28", "a8", "88", true, false },
	{ "WRITE", "0a", "2a", "aa", "8a", false, true },
	{ "VERIFY", NULL, "2f", "af", "8f", false, false },
	{ "WRITE AND VERIFY", NULL, "2e", "ae", "8e", false, true },
	{ "PRE-FETCH", NULL, "34", NULL, "90", false, false },
	{ "ORWRITE", NULL, NULL, NULL, "8b", false, true },
	{ "SYNCHRONIZE CACHE", NULL, "35", NULL, "91", false, false },
};

static void edge_run(struct sf *sf, const struct edge *e, const char *cdb, uint32_t end,
		     unsigned int blocks)
{
	char out[32];
	struct sf_case c = { .what = cdb, .cdb = cdb, .end = end };

	snprintf(out, sizeof(out), "77*%u", blocks * 512);
	if (e->reads)
		c.room = blocks * 512;
	if (e->writes && blocks)
		c.out = out;
	if (end == SF_GOOD && (e->reads || e->writes))
		c.transferred = blocks * 512;
	sf_run(sf, &c);
}

static void edges10(struct sf *sf, const struct edge *e)
{
	const struct { const char *rest; uint32_t end; unsigned int blocks; } cases[] = {
		{ "00 00 00 00 00 00 00 00 00", SF_GOOD, 0 },
		{ "00 00 00 00 00 00 00 01 00", SF_GOOD, 1 },
		{ "00 00 00 03 ff 00 00 01 00", SF_GOOD, 1 },
		{ "00 00 00 04 00 00 00 00 00", SF_GOOD, 0 },
		{ "00 00 00 04 00 00 00 01 00", BAD_LBA, 1 },
		{ "00 00 00 04 01 00 00 00 00", BAD_LBA, 0 },
		{ "00 00 00 03 ff 00 00 02 00", BAD_LBA, 2 },
		{ "00 ff ff ff ff 00 00 01 00", BAD_LBA, 1 },
		{ "00 ff ff ff ff 00 00 02 00", BAD_LBA, 2 },
		{ "00 00 00 00 00 00 04 01 00", BAD_LBA, 1025 },
		/* reserved bits, protection, group, NACA */
		{ "20 00 00 00 00 00 00 01 00", BAD_CDB, 1 },
		{ "01 00 00 00 00 00 00 01 00", BAD_CDB, 1 },
		{ "00 00 00 00 00 01 00 01 00", BAD_CDB, 1 },
		{ "00 00 00 00 00 80 00 01 00", BAD_CDB, 1 },
		{ "00 00 00 00 00 00 00 01 04", BAD_CDB, 1 },
	};
	char cdb[80];
	size_t i;

	for (i = 0; e->cdb10 && i < ARRAY_SIZE(cases); i++) {
		snprintf(cdb, sizeof(cdb), "%s %s", e->cdb10, cases[i].rest);
		edge_run(sf, e, cdb, cases[i].end, cases[i].blocks);
	}
}

static void edges12(struct sf *sf, const struct edge *e)
{
	const struct { const char *rest; uint32_t end; unsigned int blocks; } cases[] = {
		{ "00 00 00 00 00 00 00 00 00 00 00", SF_GOOD, 0 },
		{ "00 00 00 03 ff 00 00 00 01 00 00", SF_GOOD, 1 },
		{ "00 00 00 04 00 00 00 00 01 00 00", BAD_LBA, 1 },
		{ "00 ff ff ff ff ff ff ff ff 00 00", BAD_LBA, 1 },
		{ "00 00 00 00 00 00 00 00 01 01 00", BAD_CDB, 1 },
		{ "00 00 00 00 00 00 00 00 01 00 01", BAD_CDB, 1 },
	};
	char cdb[80];
	size_t i;

	for (i = 0; e->cdb12 && i < ARRAY_SIZE(cases); i++) {
		snprintf(cdb, sizeof(cdb), "%s %s", e->cdb12, cases[i].rest);
		edge_run(sf, e, cdb, cases[i].end, cases[i].blocks);
	}
}

static void edges16(struct sf *sf, const struct edge *e)
{
	const struct { const char *rest; uint32_t end; unsigned int blocks; } cases[] = {
		{ "00 00*8 00 00 00 00 00 00", SF_GOOD, 0 },
		{ "00 00 00 00 00 00 00 03 ff 00 00 00 01 00 00", SF_GOOD, 1 },
		{ "00 00 00 00 00 00 00 04 00 00 00 00 00 00 00", SF_GOOD, 0 },
		{ "00 00 00 00 00 00 00 04 00 00 00 00 01 00 00", BAD_LBA, 1 },
		{ "00 00 00 00 00 00 00 04 01 00 00 00 00 00 00", BAD_LBA, 0 },
		{ "00 00 00 00 01 00 00 00 00 00 00 00 01 00 00", BAD_LBA, 1 },
		/* the end wraps at 2^64, and lies at it */
		{ "00 ff*8 00 00 00 02 00 00", BAD_LBA, 2 },
		{ "00 ff*8 00 00 00 01 00 00", BAD_LBA, 1 },
		{ "00 ff ff ff ff ff ff fc 01 00 00 04 00 00 00", BAD_LBA, 1024 },
		{ "00 80 00 00 00 00 00 00 00 00 00 00 01 00 00", BAD_LBA, 1 },
		{ "00 00*8 00 00 00 01 40 00", BAD_CDB, 1 },
		{ "00 00*8 00 00 00 01 00 ff", BAD_CDB, 1 },
	};
	char cdb[80];
	size_t i;

	for (i = 0; e->cdb16 && i < ARRAY_SIZE(cases); i++) {
		snprintf(cdb, sizeof(cdb), "%s %s", e->cdb16, cases[i].rest);
		edge_run(sf, e, cdb, cases[i].end, cases[i].blocks);
	}
}

START_TEST(test_edges)
{
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	edges10(&sf, &edges[_i]);
	edges12(&sf, &edges[_i]);
	edges16(&sf, &edges[_i]);
	sf_close(&sf);
}
END_TEST

/* More blocks than the block limits page allows, on a unit which has them. */
START_TEST(test_transfer_limit)
{
	static const struct sf_case cases[] = {
		{ "READ (12)", "a8 00 00*4 00 01 00 01", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(6) },
		{ "READ (16)", "88 00 00*8 00 01 00 01", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(10) },
		{ "WRITE (16)", "8a 00 00*8 00 01 00 01", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(10) },
		{ "VERIFY (16)", "8f 00 00*8 00 01 00 01", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(10) },
		{ "VERIFY at it", "8f 00 00*8 00 01 00 00" },
		{ "PRE-FETCH (16)", "90 00 00*8 00 01 00 01", NULL, 0, BAD_CDB, 0, NULL,
		  SF_CDB(10) },
		{ "SYNCHRONIZE CACHE (16) has no limit", "91 00 00*8 00 01 00 01" },
		{ "WRITE SAME", "93 01 00*8 00 08 00 01", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(10) },
		{ "WRITE SAME at it", "93 01 00*8 00 08 00 00" },
	};
	const struct sf_params params = { .size = (256u << 20) + 4096 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

START_TEST(test_read)
{
	static const struct sf_case cases[] = {
		{ "one block", "28 00 00 00 00 05 00 00 01", NULL, 512, SF_GOOD, 512, "06*512" },
		{ "two", "28 00 00 00 00 05 00 00 02", NULL, 1024, SF_GOOD, 1024,
		  "06*512 07*512" },
		{ "DPO and FUA", "28 18 00 00 00 05 00 00 01", NULL, 512, SF_GOOD, 512, "06*512" },
		{ "RARC", "28 04 00 00 00 05 00 00 01", NULL, 512, SF_GOOD, 512, "06*512" },
		{ "longer buffer", "28 00 00 00 00 05 00 00 01", NULL, 4000, SF_GOOD, 512,
		  "06*512" },
		{ "shorter buffer", "28 00 00 00 00 05 00 00 02", NULL, 1023, SF_OVERRUN },
		{ "no buffer", "28 00 00 00 00 05 00 00 01", NULL, 0, SF_OVERRUN },
		{ "none wanted, none given", "28 00 00 00 00 05 00 00 00", NULL, 0, SF_GOOD },
		{ "READ (6)", "08 00 00 05 01", NULL, 512, SF_GOOD, 512, "06*512" },
		{ "READ (6), 0 is 256", "08 00 00 05 00", NULL, 256 * 512, SF_GOOD, 256 * 512,
		  "06*512" },
		{ "READ (6), last", "08 00 03 ff 01", NULL, 512, SF_GOOD, 512, "00*512" },
		{ "READ (6), beyond", "08 00 04 00 01", NULL, 512, BAD_LBA },
		{ "READ (6), 0 is 256, beyond", "08 00 03 01 00", NULL, 256 * 512, BAD_LBA },
		{ "READ (6), all 21 bits", "08 1f ff ff 01", NULL, 512, BAD_LBA },
		{ "READ (6), reserved", "08 20 00 00 01", NULL, 512, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "READ (12)", "a8 00 00 00 00 05 00 00 00 01", NULL, 512, SF_GOOD, 512,
		  "06*512" },
		{ "READ (16)", "88 00 00*7 05 00 00 00 01", NULL, 512, SF_GOOD, 512, "06*512" },
		{ "RDPROTECT", "88 20 00*7 05 00 00 00 01", NULL, 512, BAD_CDB, 0, NULL,
		  SF_CDB(1) },
		{ "data-out instead", "28 00 00 00 00 05 00 00 01", "00*512", 0, SF_OVERRUN },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	sf_fill(&sf);
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

START_TEST(test_write)
{
	static const struct sf_case cases[] = {
		{ "WRITE (10)", "2a 00 00 00 00 05 00 00 01", "aa*512", 0, SF_GOOD, 512 },
		{ "FUA", "2a 08 00 00 00 06 00 00 01", "ab*512", 0, SF_GOOD, 512 },
		{ "more data", "2a 00 00 00 00 07 00 00 01", "ac*512 ff*512", 0, SF_GOOD, 512 },
		{ "less data", "2a 00 00 00 00 09 00 00 02", "ad*512 ff*511", 0, SF_OVERRUN },
		{ "data-in instead", "2a 00 00 00 00 09 00 00 01", NULL, 512, SF_OVERRUN },
		{ "WRITE (6)", "0a 00 00 0a 01", "ae*512", 0, SF_GOOD, 512 },
		{ "WRITE (12)", "aa 00 00 00 00 0b 00 00 00 01", "af*512", 0, SF_GOOD, 512 },
		{ "WRITE (16)", "8a 00 00*7 0c 00 00 00 02", "b0*1024", 0, SF_GOOD, 1024 },
		{ "AND VERIFY (10)", "2e 00 00 00 00 0e 00 00 01", "b1*512", 0, SF_GOOD, 512 },
		{ "AND VERIFY, bytes", "2e 02 00 00 00 0f 00 00 01", "b2*512", 0, SF_GOOD, 512 },
		{ "AND VERIFY, reserved BYTCHK", "2e 06 00 00 00 0f 00 00 01", "b2*512", 0,
		  BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "AND VERIFY (16)", "8e 10 00*7 10 00 00 00 01", "b3*512", 0, SF_GOOD, 512 },
		{ "read-only bit", "2a 01 00 00 00 05 00 00 01", "00*512", 0, BAD_CDB },
	};
	const struct sf_params params = { 0 };
	struct sf sf;
	size_t i;

	sf_open(&sf, &params);
	sf_fill(&sf);
	SF_RUN(&sf, cases);
	for (i = 0; i < 3; i++)
		sf_image_is(&sf, 5 + i, 1, (uint8_t)(0xaa + i));
	sf_image_is(&sf, 8, 1, 9);
	sf_image_is(&sf, 9, 1, 10);
	sf_image_is(&sf, 10, 1, 0xae);
	sf_image_is(&sf, 11, 1, 0xaf);
	sf_image_is(&sf, 12, 2, 0xb0);
	for (i = 0; i < 3; i++)
		sf_image_is(&sf, 14 + i, 1, (uint8_t)(0xb1 + i));
	sf_image_is(&sf, 17, 1, 18);
	sf_close(&sf);
}
END_TEST

START_TEST(test_verify)
{
	static const struct sf_case cases[] = {
		{ "medium only", "2f 00 00 00 00 05 00 00 02" },
		{ "none", "2f 02 00 00 00 05 00 00 00" },
		{ "bytes", "2f 02 00 00 00 05 00 00 02", "06*512 07*512", 0, SF_GOOD, 1024 },
		{ "another byte", "2f 02 00 00 00 05 00 00 02", "06*512 07*511 08", 0, 0x0e1d00,
		  1024 },
		{ "less data", "2f 02 00 00 00 05 00 00 02", "06*512 07*511", 0, SF_OVERRUN },
		{ "reserved BYTCHK", "2f 04 00 00 00 05 00 00 01", "06*512", 0, BAD_CDB, 0, NULL,
		  SF_CDB(1) },
		{ "one block, once", "2f 06 00 00 00 05 00 00 01", "06*512", 0, SF_GOOD, 512 },
		{ "one block, differs", "2f 06 00 00 00 05 00 00 02", "06*512", 0, 0x0e1d00, 512 },
		{ "one block, in all", "8f 06 00*7 64 00 00 00 28", "00*512", 0, SF_GOOD, 512 },
		{ "one block, missing", "8f 06 00*7 64 00 00 00 28", "00*511", 0, SF_OVERRUN },
		{ "VERIFY (12)", "af 02 00 00 00 05 00 00 00 01", "06*512", 0, SF_GOOD, 512 },
		{ "VRPROTECT", "af 20 00 00 00 05 00 00 00 01", NULL, 0, BAD_CDB },
		{ "large", "2f 00 00 00 00 00 00 04 00" },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	sf_fill(&sf);
	memset(sf.image + 100 * 512, 0, 40 * 512);
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

START_TEST(test_compare_and_write)
{
	static const struct sf_case cases[] = {
		{ "equal", "89 00 00*7 05 00 00 00 01", "06*512 aa*512", 0, SF_GOOD, 1024 },
		{ "not equal", "89 00 00*7 05 00 00 00 01", "06*512 bb*512", 0, 0x0e1d00, 1024 },
		{ "nothing", "89 00 00*7 05 00 00 00 00" },
		{ "two, FUA", "89 18 00*7 06 00 00 00 02", "07*512 08*512 ac*1024", 0, SF_GOOD,
		  2048 },
		{ "half of the data", "89 00 00*7 08 00 00 00 01", "09*512", 0, SF_OVERRUN },
		{ "beyond", "89 00 00*6 04 00 00 00 00 01", "09*512 00*512", 0, BAD_LBA },
		{ "reserved length", "89 00 00*7 08 00 00 01 01", "09*512 00*512", 0, BAD_CDB, 0,
		  NULL, SF_CDB(12) },
		{ "most", "89 00 00*6 01 00 00 00 00 ff", "01*130560 bb*130560", 0, SF_GOOD,
		  261120 },
	};
	const struct sf_params params = { 0 };
	struct scsi_cmd cmd;
	struct iovec iov;
	struct sf sf;

	sf_open(&sf, &params);
	sf_fill(&sf);
	memset(sf.image + 256 * 512, 1, 255 * 512);
	SF_RUN(&sf, cases);
	sf_image_is(&sf, 5, 1, 0xaa);
	sf_image_is(&sf, 6, 2, 0xac);
	sf_image_is(&sf, 8, 1, 9);
	sf_image_is(&sf, 256, 255, 0xbb);
	sf_image_is(&sf, 511, 1, 0);
	/* INFORMATION says where data-out differs. */
	sf_cmd(&sf, &cmd, "89 00 00*7 08 00 00 00 01");
	memset(sf.out, 9, 1024);
	sf.out[300] = 10;
	iov = (struct iovec){ sf.out, 1024 };
	cmd.out = &iov;
	cmd.out_cnt = 1;
	cmd.out_len = 1024;
	sf_start(&sf, &cmd);
	sf_wait(&sf, &cmd);
	ck_assert_uint_eq(sf_end(&cmd), 0x0e1d00);
	ck_assert_uint_eq(cmd.sense[0], 0xf0);
	ck_assert_int_eq(memcmp(&cmd.sense[3], "\x00\x00\x01\x2c", 4), 0);
	sf_close(&sf);
}
END_TEST

START_TEST(test_or_write)
{
	static const struct sf_case cases[] = {
		{ "one", "8b 00 00*7 05 00 00 00 01", "f0*512", 0, SF_GOOD, 512 },
		{ "many", "8b 08 00*6 01 00 00 00 02 00", "80*262144", 0, SF_GOOD, 262144 },
		{ "ORPROTECT", "8b 20 00*7 05 00 00 00 01", "f0*512", 0, BAD_CDB },
		{ "less data", "8b 00 00*7 05 00 00 00 02", "0f*1023", 0, SF_OVERRUN },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	sf_fill(&sf);
	SF_RUN(&sf, cases);
	sf_image_is(&sf, 5, 1, 0xf6);
	sf_image_is(&sf, 6, 1, 7);
	sf_image_is(&sf, 256, 1, 0x81);
	sf_image_is(&sf, 767, 1, 0x80);
	sf_image_is(&sf, 768, 1, 1);
	sf_close(&sf);
}
END_TEST

/* Every command which writes says the same on a unit which cannot be written. */
static const struct sf_case writers[] = {
	{ "WRITE (6)", "0a 00 00 00 01", "00*512" },
	{ "WRITE (10)", "2a 00 00*4 00 00 01", "00*512" },
	{ "WRITE (12)", "aa 00 00*4 00 00 00 01", "00*512" },
	{ "WRITE (16)", "8a 00 00*8 00 00 00 01", "00*512" },
	{ "WRITE AND VERIFY (10)", "2e 00 00*4 00 00 01", "00*512" },
	{ "WRITE AND VERIFY (12)", "ae 00 00*4 00 00 00 01", "00*512" },
	{ "WRITE AND VERIFY (16)", "8e 00 00*8 00 00 00 01", "00*512" },
	{ "WRITE SAME (10)", "41 00 00*4 00 00 01", "00*512" },
	{ "WRITE SAME (16)", "93 00 00*8 00 00 00 01", "00*512" },
	{ "ORWRITE", "8b 00 00*8 00 00 00 01", "00*512" },
	{ "COMPARE AND WRITE", "89 00 00*8 00 00 00 01", "00*1024" },
};

START_TEST(test_read_only)
{
	static const struct sf_case cases[] = {
		{ "READ", "28 00 00 00 00 05 00 00 01", NULL, 512, SF_GOOD, 512, "06*512" },
		{ "SYNCHRONIZE CACHE", "35" },
		{ "UNMAP is not there", "42 00 00 00 00 00 00 00 18", "00*24", 0, BAD_OPCODE },
		{ "WP", "1a 08 3f 00 ff", NULL, 255, SF_GOOD, 60, "3b 00 90 00" },
		{ "not thin", "9e 10 00*8 00 00 00 20", NULL, 32, SF_GOOD, 32, "..*14 00" },
	};
	const struct sf_params params = { .read_only = true };
	struct sf_case c;
	struct sf sf;
	size_t i;

	sf_open(&sf, &params);
	sf_fill(&sf);
	SF_RUN(&sf, cases);
	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		c = writers[i];
		c.end = 0x072700;
		sf_run(&sf, &c);
	}
	sf_image_is(&sf, 0, 1, 1);
	sf_close(&sf);
}
END_TEST

START_TEST(test_software_write_protect)
{
	static const struct sf_case on = {
		"SWP", "15 10 00 00 10", "00 00 00 00 0a 0a 00 10 08 00*7", 0, SF_GOOD, 16,
	};
	static const struct sf_case off = {
		"no SWP", "15 10 00 00 10", "00 00 00 00 0a 0a 00 10 00 00*7", 0, SF_GOOD, 16,
	};
	const struct sf_params params = { 0 };
	struct sf_case c;
	struct sf sf;
	size_t i;

	sf_open(&sf, &params);
	sf_fill(&sf);
	sf_run(&sf, &on);
	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		c = writers[i];
		c.end = 0x072702;
		sf_run(&sf, &c);
	}
	sf_image_is(&sf, 0, 1, 1);
	sf_run(&sf, &off);
	c = writers[0];
	c.transferred = 512;
	sf_run(&sf, &c);
	sf_image_is(&sf, 0, 1, 0);
	sf_close(&sf);
}
END_TEST

START_TEST(test_capacity)
{
	static const struct sf_case cases[] = {
		{ "(10)", "25", NULL, 8, SF_GOOD, 8, "00 00 03 ff 00 00 02 00" },
		{ "(10), more room", "25", NULL, 20, SF_GOOD, 8, "00 00 03 ff 00 00 02 00" },
		{ "(10), less room", "25", NULL, 7, SF_OVERRUN },
		{ "(10), LBA", "25 00 00 00 00 01", NULL, 8, BAD_CDB, 0, NULL, SF_CDB(5) },
		{ "(10), PMI", "25 00 00 00 00 00 00 00 01", NULL, 8, BAD_CDB, 0, NULL,
		  SF_CDB(8) },
		{ "(16)", "9e 10 00*8 00 00 00 20", NULL, 32, SF_GOOD, 32,
		  "00*6 03 ff 00 00 02 00 00 .. c0 00*17" },
		{ "(16), a part", "9e 10 00*8 00 00 00 0c", NULL, 32, SF_GOOD, 12,
		  "00*6 03 ff 00 00 02 00" },
		{ "(16), nothing", "9e 10 00*8 00 00 00 00" },
		{ "(16), less room than allocated", "9e 10 00*8 00 00 00 20", NULL, 31,
		  SF_OVERRUN },
		{ "no such service action", "9e 11 00*8 00 00 00 20", NULL, 32, BAD_CDB, 0, NULL,
		  SF_CDB(1) },
	};
	static const struct sf_case large[] = {
		{ "(10)", "25", NULL, 8, SF_GOOD, 8, "00 00 00 7f 00 00 10 00" },
		{ "READ", "28 00 00 00 00 7f 00 00 01", NULL, 4096, SF_GOOD, 4096, "f9*512" },
		{ "READ beyond", "28 00 00 00 00 80 00 00 01", NULL, 4096, BAD_LBA },
		{ "WRITE", "2a 00 00 00 00 01 00 00 01", "cc*4096", 0, SF_GOOD, 4096 },
		{ "COMPARE AND WRITE", "89 00 00*7 01 00 00 00 01", "cc*4096 dd*4096", 0, SF_GOOD,
		  8192 },
		{ "VERIFY one block", "2f 06 00 00 00 01 00 00 01", "dd*4096", 0, SF_GOOD, 4096 },
		{ "VERIFY one block, others", "2f 06 00 00 00 01 00 00 02", "dd*4096", 0,
		  0x0e1d00, 4096 },
	};
	const struct sf_params small = { 0 }, big = { .block_size = 4096 };
	struct sf sf;

	sf_open(&sf, &small);
	SF_RUN(&sf, cases);
	sf_close(&sf);
	sf_open(&sf, &big);
	sf_fill(&sf);
	SF_RUN(&sf, large);
	sf_image_is(&sf, 8, 8, 0xdd);
	sf_image_is(&sf, 16, 1, 17);
	sf_close(&sf);
}
END_TEST

#define STORM	8u			/* commands at a time */

/* Commands on block 0, of each the bytes of data-out, which are all submitted at once. */
struct storm {
	const char *cdb;
	uint8_t first, second;		/* bytes of the first and the second block */
	unsigned int blocks;		/* of data-out */
};

static void storm_run(struct sf *sf, const struct storm *storm)
{
	static uint8_t data[STORM][1024];
	struct scsi_cmd cmd[STORM];
	struct iovec iov[STORM];
	unsigned int i;

	memset(sf->image, 0, 512);
	for (i = 0; i < STORM; i++) {
		memset(data[i], storm[i].first, 512);
		memset(data[i] + 512, storm[i].second, 512);
		iov[i] = (struct iovec){ data[i], storm[i].blocks * 512 };
		sf_cmd(sf, &cmd[i], storm[i].cdb);
		cmd[i].out = &iov[i];
		cmd[i].out_cnt = 1;
		cmd[i].out_len = iov[i].iov_len;
		scsi_submit(sf->nexus, &cmd[i]);
	}
	scsi_commit(sf->nexus);
	ck_assert(!sf_ended(&cmd[STORM - 1]));
	for (i = 0; i < STORM; i++) {
		sf_wait(sf, &cmd[i]);
		ck_assert_msg(sf_end(&cmd[i]) == SF_GOOD, "command %u: %06x", i, sf_end(&cmd[i]));
	}
}

#define COMPARE	"89 00 00*8 00 00 00 01"
#define WRITE	"2a 00 00*4 00 00 01"
#define OR	"8b 00 00*8 00 00 00 01"

/* Each finds what the one before has left. */
START_TEST(test_atomic)
{
	static const struct storm storms[][STORM] = {
		{ { COMPARE, 0, 1, 2 }, { COMPARE, 1, 2, 2 }, { COMPARE, 2, 3, 2 },
		  { COMPARE, 3, 4, 2 }, { COMPARE, 4, 5, 2 }, { COMPARE, 5, 6, 2 },
		  { COMPARE, 6, 7, 2 }, { COMPARE, 7, 8, 2 } },
		{ { COMPARE, 0, 1, 2 }, { WRITE, 7, 0, 1 }, { COMPARE, 7, 3, 2 },
		  { WRITE, 1, 0, 1 }, { OR, 2, 0, 1 }, { OR, 4, 0, 1 },
		  { WRITE, 9, 0, 1 }, { COMPARE, 9, 8, 2 } },
		/* The first ones come while there is nothing to be careful about. */
		{ { WRITE, 3, 0, 1 }, { COMPARE, 3, 4, 2 }, { WRITE, 5, 0, 1 },
		  { COMPARE, 5, 6, 2 }, { WRITE, 1, 0, 1 }, { OR, 2, 0, 1 }, { WRITE, 7, 0, 1 },
		  { COMPARE, 7, 8, 2 } },
		{ { OR, 1, 0, 1 }, { OR, 2, 0, 1 }, { OR, 4, 0, 1 }, { OR, 8, 0, 1 },
		  { COMPARE, 15, 1, 2 }, { OR, 16, 0, 1 }, { COMPARE, 17, 0, 2 },
		  { OR, 8, 0, 1 } },
	};
	const struct sf_params params = { .later = true };
	unsigned int round;
	struct sf sf;

	sf_open(&sf, &params);
	for (round = 0; round < TAP_TIMES(50); round++) {
		storm_run(&sf, storms[_i]);
		sf_image_is(&sf, 0, 1, 8);
	}
	sf_close(&sf);
}
END_TEST

static void hold_submit(struct sf *sf, struct scsi_cmd *cmd, struct iovec *iov, const char *cdb)
{
	sf_cmd(sf, cmd, cdb);
	cmd->out = iov;
	cmd->out_cnt = 1;
	cmd->out_len = iov->iov_len;
	sf_start(sf, cmd);
}

static void hold_mail(struct sf *sf)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		event_base_loop(sf->base, EVLOOP_NONBLOCK);
}

/*
 * One which compares begins when all writes have ended which have come before it, whoever of
 * them is last; of those which come after it, one of other blocks does not wait.
 */
START_TEST(test_exclusive_waits)
{
	static uint8_t data[1024];
	struct scsi_cmd write[2], compare, after[2];
	struct iovec one = { data, 512 }, two = { data, 1024 };
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	memset(data, 0x11, sizeof(data));
	held = 0;
	hold = true;
	hold_submit(&sf, &write[0], &one, WRITE);
	hold_submit(&sf, &write[1], &one, WRITE);
	ck_assert_uint_eq(held, 2);
	submits = 0;
	hold_submit(&sf, &compare, &two, COMPARE);
	hold_submit(&sf, &after[0], &one, WRITE);
	ck_assert_uint_eq(submits, 0);
	hold_submit(&sf, &after[1], &one, "2a 00 00 00 00 09 00 00 01");
	ck_assert_uint_eq(held, 3);
	release(2);
	release(_i);
	hold_mail(&sf);
	ck_assert(sf_ended(&after[1]) && sf_ended(&write[_i]) && !sf_ended(&write[!_i]));
	ck_assert_uint_eq(submits, 1);
	release(!_i);
	hold_mail(&sf);
	/* It has read, and writes. */
	ck_assert_uint_eq(submits, 3);
	ck_assert_uint_eq(held, 4);
	ck_assert(!sf_ended(&compare) && !sf_ended(&after[0]));
	release(3);
	hold_mail(&sf);
	ck_assert_int_eq(sf_end(&compare), SF_GOOD);
	ck_assert_uint_eq(held, 5);
	release(4);
	sf_wait(&sf, &after[0]);
	hold = false;
	/* It is over: a write waits for nobody. */
	hold_submit(&sf, &after[0], &one, WRITE);
	sf_wait(&sf, &after[0]);
	sf_close(&sf);
}
END_TEST

/* What the storage says, as sense. */
START_TEST(test_errors)
{
	static const struct { const char *fault; struct sf_case c; } cases[] = {
		{ "read", { "READ", "28 00 00*4 00 00 01", NULL, 512, 0x031100 } },
		{ "read", { "VERIFY", "2f 00 00*4 00 00 01", NULL, 0, 0x031100 } },
		{ "read", { "COMPARE AND WRITE", COMPARE, "00*1024", 0, 0x031100 } },
		{ "read", { "ORWRITE", OR, "00*512", 0, 0x031100 } },
		{ "write", { "WRITE", WRITE, "00*512", 0, 0x030c00 } },
		{ "write:ENOSPC", { "no space", WRITE, "00*512", 0, 0x072707 } },
		{ "write:EROFS", { "read-only", WRITE, "00*512", 0, 0x072700 } },
		{ "write", { "ORWRITE writes", OR, "00*512", 0, 0x030c00 } },
		{ "write", { "COMPARE AND WRITE writes", COMPARE, "00*1024", 0, 0x030c00 } },
		{ "write@512", { "WRITE SAME", "41 00 00*4 00 00 02", "01*512", 0, 0x030c00 } },
		{ "zeroes", { "WRITE SAME, zeroes", "41 00 00*4 00 00 02", "00*512", 0,
			      0x030c00 } },
		{ "read", { "WRITE AND VERIFY", "2e 00 00*4 00 00 01", "00*512", 0, 0x031100 } },
		{ "flush", { "SYNCHRONIZE CACHE", "35", NULL, 0, 0x030c00 } },
		{ "flush", { "START STOP UNIT", "1b 00 00 00 00", NULL, 0, 0x030c00 } },
		{ "zeroes,discard", { "UNMAP", "42 00 00 00 00 00 00 00 18",
				      "00 16 00 10 00*4 00*8 00 00 00 01 00*4", 0, 0x030c00 } },
	};
	const struct sf_params params = { .fault = cases[_i].fault };
	const struct sf_case after = { "ready", "00" };
	struct sf sf;

	sf_open(&sf, &params);
	sf_run(&sf, &cases[_i].c);
	sf_run(&sf, &after);
	sf_close(&sf);
}
END_TEST

/* Writes are durable when done with FUA, and without WCE; flushes reach the storage. */
START_TEST(test_durability)
{
	static const struct { struct sf_case c; enum storage_op op; unsigned int wce, no_wce; }
	cases[] = {
		{ { "WRITE", WRITE, "01*512", 0, SF_GOOD, 512 }, STORAGE_WRITE, 0, STORAGE_FUA },
		{ { "WRITE (6)", "0a 00 00 00 01", "01*512", 0, SF_GOOD, 512 }, STORAGE_WRITE, 0,
		  STORAGE_FUA },
		{ { "FUA", "8a 08 00*8 00 00 00 01", "01*512", 0, SF_GOOD, 512 }, STORAGE_WRITE,
		  STORAGE_FUA, STORAGE_FUA },
		{ { "DPO", "8a 10 00*8 00 00 00 01", "01*512", 0, SF_GOOD, 512 }, STORAGE_WRITE,
		  0, STORAGE_FUA },
		{ { "ORWRITE", OR, "01*512", 0, SF_GOOD, 512 }, STORAGE_WRITE, 0, STORAGE_FUA },
		{ { "COMPARE AND WRITE, FUA", "89 08 00*8 00 00 00 01", "01*1024", 0, SF_GOOD,
		    1024 }, STORAGE_WRITE, STORAGE_FUA, STORAGE_FUA },
		{ { "WRITE SAME", "93 00 00*8 00 00 00 01", "01*512", 0, SF_GOOD, 512 },
		  STORAGE_WRITE, 0, STORAGE_FUA },
		{ { "WRITE SAME, zeroes", "93 01 00*8 00 00 00 01" }, STORAGE_WRITE_ZEROES, 0,
		  STORAGE_FUA },
		{ { "WRITE SAME, unmap", "93 09 00*8 00 00 00 01" }, STORAGE_WRITE_ZEROES,
		  STORAGE_UNMAP, STORAGE_UNMAP | STORAGE_FUA },
		{ { "UNMAP", "42 00 00 00 00 00 00 00 18", "00 16 00 10 00*4 00*8 00 00 00 01 00*4",
		    0, SF_GOOD, 24 }, STORAGE_WRITE_ZEROES, STORAGE_UNMAP,
		  STORAGE_UNMAP | STORAGE_FUA },
		{ { "SYNCHRONIZE CACHE", "91" }, STORAGE_FLUSH, 0, 0 },
		{ { "IMMED", "35 02" }, STORAGE_FLUSH, 0, 0 },
		{ { "READ, FUA", "28 08 00*4 00 00 01", NULL, 512, SF_GOOD, 512 }, STORAGE_READ,
		  0, 0 },
		{ { "stop", "1b" }, STORAGE_FLUSH, 0, 0 },
	};
	static const struct sf_case no_wce = {
		"WCE off", "15 10 00 00 18", "00*4 08 12 00*18", 0, SF_GOOD, 24,
	};
	const struct sf_params params = { 0 };
	bool wce = !_i;
	struct sf sf;
	size_t i;

	sf_open(&sf, &params);
	if (!wce)
		sf_run(&sf, &no_wce);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		last_op = STORAGE_OPS;
		sf_run(&sf, &cases[i].c);
		ck_assert_msg(last_op == cases[i].op &&
			      last_flags == (wce ? cases[i].wce : cases[i].no_wce),
			      "%s: operation %d, flags %x", cases[i].c.what, last_op, last_flags);
	}
	sf_close(&sf);
}
END_TEST

static Suite *block_suite(void)
{
	Suite *s = suite_create("scsi_block");
	TCase *tc = tcase_create("block");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_edges, 0, ARRAY_SIZE(edges));
	tcase_add_test(tc, test_transfer_limit);
	tcase_add_test(tc, test_read);
	tcase_add_test(tc, test_write);
	tcase_add_test(tc, test_verify);
	tcase_add_test(tc, test_compare_and_write);
	tcase_add_test(tc, test_or_write);
	tcase_add_test(tc, test_read_only);
	tcase_add_test(tc, test_software_write_protect);
	tcase_add_test(tc, test_capacity);
	tcase_add_loop_test(tc, test_atomic, 0, 4);
	tcase_add_loop_test(tc, test_exclusive_waits, 0, 2);
	tcase_add_loop_test(tc, test_durability, 0, 2);
	tcase_add_loop_test(tc, test_errors, 0, 15);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(block_suite());
}
