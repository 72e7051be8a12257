/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of all units (SPC-4): what a unit says of itself, and what it remembers. */
#include <string.h>

#include "scsi_fixture.h"

#define VENDOR	"6c 69 62 76 68 6f 73 74"
#define PRODUCT	"56 49 52 54 55 41 4c 20 44 49 53 4b 20*4"
#define SERIAL	"53 31 32 33 34"

static void run(const struct sf_case *cases, size_t n, const struct sf_params *params)
{
	struct sf sf;

	sf_open(&sf, params);
	sf_run_all(&sf, cases, n);
	sf_close(&sf);
}

#define RUN(cases, ...) \
	run(cases, ARRAY_SIZE(cases), &(const struct sf_params){ __VA_ARGS__ })

START_TEST(test_inquiry)
{
	static const struct sf_case cases[] = {
		{ "standard", "12 00 00 00 60", NULL, 96, SF_GOOD, 96,
		  "00 00 06 12 5b 00 00 02 " VENDOR " " PRODUCT " 30 30 30 31 00*22 00 a0 04 60 "
		  "04 c0 00*32" },
		{ "36 bytes", "12 00 00 00 24", NULL, 36, SF_GOOD, 36, "00 00 06 12 5b" },
		{ "5 bytes", "12 00 00 00 05", NULL, 36, SF_GOOD, 5, "00 00 06 12 5b" },
		{ "nothing", "12 00 00 00 00" },
		{ "more", "12 00 00 ff ff", NULL, 65535, SF_GOOD, 96 },
		{ "more than there is room for", "12 00 00 00 60", NULL, 95, SF_OVERRUN },
		{ "page without EVPD", "12 00 80 00 60", NULL, 96, BAD_CDB, 0, NULL, SF_CDB(2) },
		{ "CMDDT", "12 02 00 00 60", NULL, 96, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "NACA", "12 00 00 00 60 04", NULL, 96, BAD_CDB, 0, NULL, SF_CDB(5) },
		{ "pages", "12 01 00 00 ff", NULL, 255, SF_GOOD, 11,
		  "00 00 00 07 00 80 83 86 b0 b1 b2" },
		{ "serial number", "12 01 80 00 ff", NULL, 255, SF_GOOD, 9, "00 80 00 05 " SERIAL },
		{ "identification", "12 01 83 00 ff", NULL, 255, SF_GOOD, 4 + 33 + 12 + 8,
		  "00 83 00 35 02 01 00 1d " VENDOR " " PRODUCT " " SERIAL
		  " 01 03 00 08 ..*8 01 14 00 04 00 00 00 01" },
		{ "extended", "12 01 86 00 ff", NULL, 255, SF_GOOD, 64,
		  "00 86 00 3c 00 07 01 00*6 60 00*50" },
		{ "block limits", "12 01 b0 00 ff", NULL, 255, SF_GOOD, 64,
		  "00 b0 00 3c 01 ff .. .. 00 01 00 00 ..*4 00 01 00 00 ..*4 00 00 01 00 ..*4 "
		  "80 00 00 00 00*4 00 08 00 00 00*20" },
		{ "characteristics", "12 01 b1 00 ff", NULL, 255, SF_GOOD, 64,
		  "00 b1 00 3c 00 01 00*58" },
		{ "provisioning", "12 01 b2 00 ff", NULL, 255, SF_GOOD, 8,
		  "00 b2 00 04 00 e4 02 00" },
		{ "no such page", "12 01 c0 00 ff", NULL, 255, BAD_CDB, 0, NULL, SF_CDB(2) },
		{ "a page's header", "12 01 80 00 04", NULL, 4, SF_GOOD, 4, "00 80 00 05" },
	};
	static const struct sf_case fixed[] = {
		{ "no cache", "12 01 86 00 ff", NULL, 255, SF_GOOD, 64, "00 86 00 3c 00 07 00" },
		{ "not thin", "12 01 b2 00 ff", NULL, 255, SF_GOOD, 8, "00 b2 00 04 00 00 00 00" },
		{ "no UNMAP", "12 01 b0 00 ff", NULL, 255, SF_GOOD, 64,
		  "00 b0 00 3c 01 ff ..*14 00*16" },
	};

	RUN(cases, 0);
	RUN(fixed, .read_only = true);
}
END_TEST

START_TEST(test_no_unit)
{
	static const struct sf_case cases[] = {
		{ "INQUIRY", "12 00 00 00 24", NULL, 36, SF_GOOD, 36, "7f 00 06 12" },
		{ "a page", "12 01 00 00 24", NULL, 36, BAD_CDB },
		{ "TEST UNIT READY", "00", NULL, 0, 0x052500 },
		{ "READ", "28 00 00*4 00 00 01", NULL, 512, 0x052500 },
		{ "unknown", "ff", NULL, 0, 0x052500 },
		{ "REQUEST SENSE", "03 00 00 00 ff", NULL, 255, SF_GOOD, 18,
		  "70 00 05 00*4 0a 00*4 25 00" },
		{ "REPORT LUNS", "a0 00 00 00 00 00 00 00 00 20", NULL, 32, SF_GOOD, 16,
		  "00 00 00 08 00*12" },
	};
	static const struct sf_case well_known[] = {
		{ "INQUIRY", "12 00 00 00 24", NULL, 36, SF_GOOD, 36, "1e 00 06 12" },
		{ "pages", "12 01 00 00 24", NULL, 36, SF_GOOD, 6, "1e 00 00 02 00 83" },
		{ "TEST UNIT READY", "00" },
		{ "REQUEST SENSE", "03 01 00 00 ff", NULL, 255, SF_GOOD, 8, "72 00*7" },
		{ "REPORT LUNS", "a0 00 00 00 00 00 00 00 00 20", NULL, 32, SF_GOOD, 16,
		  "00 00 00 08 00*12" },
		{ "READ", "28 00 00*4 00 00 01", NULL, 512, 0x052000 },
	};
	static const struct sf_case no_target = { "no target", "00", NULL, 0, SF_NO_TARGET };
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	sf.address.lun = 1;
	SF_RUN(&sf, cases);
	sf.address.lun = 0;
	sf.address.report_luns = true;
	SF_RUN(&sf, well_known);
	sf.address.report_luns = false;
	sf.address.target = 4;
	sf_run(&sf, &no_target);
	sf_close(&sf);
}
END_TEST

START_TEST(test_report_luns)
{
	static const struct sf_case cases[] = {
		{ "units", "a0 00 00 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 32,
		  "00 00 00 18 00*4 00*8 00 05 00*6 41 2c 00*6" },
		{ "well-known", "a0 00 01 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 16,
		  "00 00 00 08 00*4 c1 01 00*6" },
		{ "all", "a0 00 02 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 40,
		  "00 00 00 20 00*4 00*8 00 05 00*6 41 2c 00*6 c1 01 00*6" },
		{ "a part", "a0 00 00 00 00 00 00 00 00 14", NULL, 20, SF_GOOD, 20,
		  "00 00 00 18 00*4 00*8 00 05 00*2" },
		{ "too little", "a0 00 00 00 00 00 00 00 00 0f", NULL, 20, BAD_CDB, 0, NULL,
		  SF_CDB(6) },
		{ "no such select", "a0 00 03 00 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL,
		  SF_CDB(2) },
		{ "reserved", "a0 01 00 00 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL,
		  SF_CDB(1) },
	};
	const struct sf_params params = { 0 };
	struct sf_case c = { "attention", "00", NULL, 0, 0x062901 };
	struct sf sf;

	sf_open(&sf, &params);
	sf_add_lun(&sf, 5);
	sf_add_lun(&sf, 300);
	/* Those which come are told of by an attention, which REPORT LUNS ends. */
	sf.address.lun = 5;
	sf_run(&sf, &c);
	sf.address.lun = 0;
	SF_RUN(&sf, cases);
	c.end = SF_GOOD;
	sf_run(&sf, &c);
	sf_close(&sf);
}
END_TEST

/* Many units: the list is longer than a chunk of the answer. */
START_TEST(test_report_many_luns)
{
	static const struct sf_case cases[] = {
		{ "all", "a0 00 00 00 00 00 00 00 ff ff", NULL, 65535, SF_GOOD, 8 + 201 * 8,
		  "00 00 06 48 00*4 00*8 ..*792 00 64 00*6 00 65" },
		{ "a part", "a0 00 00 00 00 00 00 00 02 0c", NULL, 65535, SF_GOOD, 524,
		  "00 00 06 48 00*4 00*8 ..*504 00 40 00 00" },
	};
	const struct sf_params params = { 0 };
	struct sf sf;
	uint16_t i;

	sf_open(&sf, &params);
	for (i = 1; i <= 200; i++)
		sf_add_lun(&sf, i);
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

START_TEST(test_request_sense)
{
	static const struct sf_case cases[] = {
		{ "none, fixed", "03 00 00 00 12", NULL, 18, SF_GOOD, 18, "70 00 00 00*4 0a 00*10" },
		{ "none, descriptors", "03 01 00 00 12", NULL, 18, SF_GOOD, 8, "72 00*7" },
		{ "a part", "03 00 00 00 04", NULL, 4, SF_GOOD, 4, "70" },
		{ "reserved", "03 02 00 00 12", NULL, 18, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "no such command", "ff", NULL, 0, 0x052000 },
	};
	static const struct sf_case after_reset[] = {
		{ "INQUIRY leaves it", "12 00 00 00 24", NULL, 36, SF_GOOD, 36 },
		{ "REQUEST SENSE takes it", "03 01 00 00 12", NULL, 18, SF_GOOD, 8,
		  "72 06 29 .. 00*4" },
		{ "once", "03 00 00 00 12", NULL, 18, SF_GOOD, 18, "70 00 00" },
		{ "nor others", "00" },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, cases);
	scsi_target_reset(sf.target);
	SF_RUN(&sf, after_reset);
	sf_close(&sf);
}
END_TEST

#define RECOVERY	"01 0a 00*10"
#define CACHING		"08 12 04 00*17"
#define NO_CACHING	"08 12 00 00*17"
#define CONTROL		"0a 0a 00 10 00*8"
#define CONTROL_EXT	"4a 01 00 1c 00 00 60 00*25"
#define EXCEPTIONS	"1c 0a 08 00*9"

START_TEST(test_mode_sense)
{
	static const struct sf_case cases[] = {
		{ "all (6)", "1a 00 3f 00 ff", NULL, 255, SF_GOOD, 68,
		  "43 00 10 08 00 00 04 00 00 00 02 00 " RECOVERY " " CACHING " " CONTROL " "
		  EXCEPTIONS },
		{ "without descriptor", "1a 08 3f 00 ff", NULL, 255, SF_GOOD, 60,
		  "3b 00 10 00 " RECOVERY },
		{ "with subpages", "1a 08 3f ff ff", NULL, 255, SF_GOOD, 92,
		  "5b 00 10 00 " RECOVERY " " CACHING " " CONTROL " " CONTROL_EXT },
		{ "caching", "1a 08 08 00 ff", NULL, 255, SF_GOOD, 24, "17 00 10 00 " CACHING },
		{ "changeable", "1a 08 48 00 ff", NULL, 255, SF_GOOD, 24, "17 00 10 00 " CACHING },
		{ "changeable control", "1a 08 4a 00 ff", NULL, 255, SF_GOOD, 16,
		  "0f 00 10 00 0a 0a 04 00 08 00*7" },
		{ "default", "1a 08 88 00 ff", NULL, 255, SF_GOOD, 24, "17 00 10 00 " CACHING },
		{ "saved", "1a 08 c8 00 ff", NULL, 255, 0x053900 },
		{ "subpage", "1a 08 0a 01 ff", NULL, 255, SF_GOOD, 36, "23 00 10 00 " CONTROL_EXT },
		{ "all of a page", "1a 08 0a ff ff", NULL, 255, SF_GOOD, 48,
		  "2f 00 10 00 " CONTROL " " CONTROL_EXT },
		{ "no such page", "1a 08 05 00 ff", NULL, 255, BAD_CDB, 0, NULL, SF_CDB(2) },
		{ "no such subpage", "1a 08 08 01 ff", NULL, 255, BAD_CDB, 0, NULL, SF_CDB(3) },
		{ "all of one subpage", "1a 08 3f 01 ff", NULL, 255, BAD_CDB, 0, NULL, SF_CDB(3) },
		{ "a part", "1a 08 3f 00 04", NULL, 4, SF_GOOD, 4, "3b 00 10 00" },
		{ "nothing", "1a 08 3f 00 00" },
		{ "reserved", "1a 10 3f 00 ff", NULL, 255, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "(10)", "5a 08 08 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 28,
		  "00 1a 00 10 00*4 " CACHING },
		{ "(10), descriptor", "5a 00 08 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 36,
		  "00 22 00 10 00 00 00 08 00 00 04 00 00 00 02 00 " CACHING },
		{ "(10), long descriptor", "5a 10 08 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 44,
		  "00 2a 00 10 01 00 00 10 00*6 04 00 00*4 00 00 02 00 " CACHING },
	};
	static const struct sf_case through[] = {
		{ "WCE", "1a 08 08 00 ff", NULL, 255, SF_GOOD, 24, "17 00 10 00 " NO_CACHING },
		{ "not changeable", "1a 08 48 00 ff", NULL, 255, SF_GOOD, 24,
		  "17 00 10 00 08 12 00*18" },
		{ "not changed", "15 10 00 00 18", "00*4 " CACHING, 0, BAD_PARAM, 0, NULL,
		  SF_PARAM(6) },
	};

	RUN(cases, 0);
	RUN(through, .write_through = true);
}
END_TEST

START_TEST(test_mode_select)
{
	static const struct sf_case cases[] = {
		{ "nothing", "15 10 00 00 00" },
		{ "header", "15 10 00 00 04", "00*4", 0, SF_GOOD, 4 },
		{ "WCE off", "15 10 00 00 18", "00*4 " NO_CACHING, 0, SF_GOOD, 24 },
		{ "it is", "1a 08 08 00 ff", NULL, 255, SF_GOOD, 24, "17 00 10 00 " NO_CACHING },
		{ "the default is not", "1a 08 88 00 ff", NULL, 255, SF_GOOD, 24,
		  "17 00 10 00 " CACHING },
		{ "no attention", "00" },
		{ "a write then", "2a 00 00*4 00 00 01", "11*512", 0, SF_GOOD, 512 },
		{ "on, with descriptor", "15 10 00 00 20", "00*3 08 00*4 00 00 02 00 " CACHING, 0,
		  SF_GOOD, 32 },
		{ "it is", "1a 08 08 00 ff", NULL, 255, SF_GOOD, 24, "17 00 10 00 " CACHING },
		{ "number of blocks", "15 10 00 00 0c", "00*3 08 00 00 04 00 00 00 02 00", 0,
		  SF_GOOD, 12 },
		{ "all blocks", "15 10 00 00 0c", "00*3 08 ff*4 00 00 02 00", 0, SF_GOOD, 12 },
		{ "another number", "15 10 00 00 0c", "00*3 08 00 00 04 01 00 00 02 00", 0,
		  BAD_PARAM, 0, NULL, SF_PARAM(4) },
		{ "another block size", "15 10 00 00 0c", "00*3 08 00 00 04 00 00 00 10 00", 0,
		  BAD_PARAM, 0, NULL, SF_PARAM(4) },
		{ "descriptor length", "15 10 00 00 0c", "00*3 07 00*8", 0, BAD_PARAM, 0, NULL,
		  SF_PARAM(3) },
		{ "descriptor cut off", "15 10 00 00 0b", "00*3 08 00*7", 0, BAD_LENGTH },
		{ "header cut off", "15 10 00 00 03", "00*3", 0, BAD_LENGTH },
		{ "page cut off", "15 10 00 00 17", "00*4 08 12 04 00*16", 0, BAD_LENGTH },
		{ "one byte of a page", "15 10 00 00 05", "00*4 08", 0, BAD_LENGTH },
		{ "page length", "15 10 00 00 17", "00*4 08 11 04 00*16", 0, BAD_PARAM, 0, NULL,
		  SF_PARAM(5) },
		{ "PS", "15 10 00 00 18", "00*4 88 12 00 00*17", 0, BAD_PARAM, 0, NULL,
		  SF_PARAM(4) },
		{ "no such page", "15 10 00 00 06", "00*4 05 00", 0, BAD_PARAM, 0, NULL,
		  SF_PARAM(4) },
		{ "what does not change", "15 10 00 00 18", "00*4 08 12 04 00 01 00*15", 0,
		  BAD_PARAM, 0, NULL, SF_PARAM(8) },
		{ "the second page is bad", "15 10 00 00 24",
		  "00*4 " NO_CACHING " 0a 0a 00 11 00*8", 0, BAD_PARAM, 0, NULL, SF_PARAM(27) },
		{ "so nothing has changed", "1a 08 08 00 ff", NULL, 255, SF_GOOD, 24,
		  "17 00 10 00 " CACHING },
		{ "medium type", "15 10 00 00 04", "00 01 00 00", 0, BAD_PARAM, 0, NULL,
		  SF_PARAM(1) },
		{ "SP", "15 11 00 00 04", "00*4", 0, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "no PF", "15 00 00 00 04", "00*4", 0, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "less data", "15 10 00 00 18", "00*4 08 12 04 00*16", 0, SF_OVERRUN },
		{ "(10)", "55 10 00 00 00 00 00 00 1c", "00*8 " NO_CACHING, 0, SF_GOOD, 28 },
		{ "(10), long descriptor", "55 10 00 00 00 00 00 00 18",
		  "00*4 01 00 00 10 00*8 00*4 00 00 02 00", 0, SF_GOOD, 24 },
		{ "(10), long list", "55 10 00 00 00 00 00 10 00", "00*4096", 0, BAD_LENGTH },
		{ "D_SENSE", "15 10 00 00 10", "00*4 0a 0a 04 10 00*8", 0, SF_GOOD, 16 },
	};
	const struct sf_params params = { 0 };
	struct scsi_cmd cmd;
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, cases);
	/* Sense data has descriptors now, with the field. */
	sf_cmd(&sf, &cmd, "00 00 00 20");
	sf_start(&sf, &cmd);
	sf_wait(&sf, &cmd);
	ck_assert_uint_eq(sf_end(&cmd), BAD_CDB);
	ck_assert_uint_eq(cmd.sense_len, 16);
	ck_assert_int_eq(memcmp(cmd.sense, "\x72\x05\x24\x00\0\0\0\x08\x02\x06\0\0\xcd\x00\x03\0",
				16), 0);
	/* The driver starts anew: all is as at first. */
	scsi_target_reset(sf.target);
	sf_run(&sf, &(struct sf_case){ "power on", "00", NULL, 0, 0x062901 });
	sf_run(&sf, &(struct sf_case){ "WCE again", "1a 08 08 00 ff", NULL, 255, SF_GOOD, 24,
				       "17 00 10 00 " CACHING });
	sf_close(&sf);
}
END_TEST

START_TEST(test_log_sense)
{
	static const struct sf_case cases[] = {
		{ "pages", "4d 00 40 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 9,
		  "00 00 00 05 00 02 03 05 2f" },
		{ "subpages", "4d 00 40 ff 00 00 00 00 ff", NULL, 255, SF_GOOD, 16,
		  "40 ff 00 0c 00 00 00 ff 02 00 03 00 05 00 2f 00" },
		{ "exceptions", "4d 00 6f 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 12,
		  "2f 00 00 08 00 00 03 04 00 00 ff 00" },
		{ "no errors", "4d 00 43 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 16,
		  "03 00 00 0c 00 06 00 08 00*8" },
		{ "an error", "28 00 00*4 00 00 01", NULL, 512, 0x031100 },
		{ "another one", "2f 00 00*4 00 00 01", NULL, 0, 0x031100 },
		{ "and one", "2f 00 00*4 00 00 01", NULL, 0, 0x031100 },
		{ "one read", "4d 00 43 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 16,
		  "03 00 00 0c 00 06 00 08 00*7 01" },
		{ "two verified", "4d 00 45 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 16,
		  "05 00 00 0c 00 06 00 08 00*7 02" },
		{ "none written", "4d 00 42 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 16,
		  "02 00 00 0c 00 06 00 08 00*8" },
		{ "from a parameter", "4d 00 43 00 00 00 06 00 ff", NULL, 255, SF_GOOD, 16 },
		{ "behind the last", "4d 00 43 00 00 00 07 00 ff", NULL, 255, BAD_CDB, 0, NULL,
		  SF_CDB(5) },
		{ "thresholds", "4d 00 03 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL,
		  SF_CDB(2) },
		{ "no such page", "4d 00 4d 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL,
		  SF_CDB(2) },
		{ "no such subpage", "4d 00 43 01 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL,
		  SF_CDB(3) },
		{ "SP", "4d 01 40 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "a part", "4d 00 43 00 00 00 00 00 04", NULL, 4, SF_GOOD, 4, "03 00 00 0c" },
	};

	RUN(cases, .fault = "read");
}
END_TEST

START_TEST(test_opcodes)
{
	static const struct sf_case cases[] = {
		{ "READ (10)", "a3 0c 01 28 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 14,
		  "00 03 00 0a 28 1c ff ff ff ff 00 ff ff 00" },
		{ "with timeouts", "a3 0c 81 28 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 26,
		  "00 83 00 0a 28 1c ff ff ff ff 00 ff ff 00 00 0a 00*10" },
		{ "none such", "a3 0c 01 29 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 4,
		  "00 01 00 00" },
		{ "one with service actions", "a3 0c 01 9e 00 00 00 00 00 ff", NULL, 255, BAD_CDB,
		  0, NULL, SF_CDB(2) },
		{ "service action", "a3 0c 02 9e 00 10 00 00 00 ff", NULL, 255, SF_GOOD, 20,
		  "00 03 00 10 9e 10 00*8 ff*4 00 00" },
		{ "no such action", "a3 0c 02 9e 00 13 00 00 00 ff", NULL, 255, SF_GOOD, 4,
		  "00 01 00 00" },
		{ "action of one without", "a3 0c 02 28 00 00 00 00 00 ff", NULL, 255, BAD_CDB },
		{ "either, with", "a3 0c 03 5f 00 06 00 00 00 ff", NULL, 255, SF_GOOD, 14,
		  "00 03 00 0a 5f 06 ff 00 00 ff ff ff ff 00" },
		{ "either, without", "a3 0c 03 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 10,
		  "00 03 00 06 00*6" },
		{ "either, wrong", "a3 0c 03 00 00 01 00 00 00 ff", NULL, 255, SF_GOOD, 4,
		  "00 01" },
		{ "CD-ROM's", "a3 0c 01 43 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 4, "00 01" },
		{ "option", "a3 0c 04 28 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL,
		  SF_CDB(2) },
		{ "all, header", "a3 0c 00 00 00 00 00 00 00 04", NULL, 4, SF_GOOD, 4,
		  "00 00 .. .." },
		{ "functions", "a3 0d 00 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 4,
		  "dc 03 00 00" },
		{ "functions, extended", "a3 0d 80 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 16,
		  "dc 03 00 0c 00*12" },
		{ "functions, too little", "a3 0d 00 00 00 00 00 00 00 03", NULL, 4, BAD_CDB },
		{ "no such action of A3", "a3 0a 00 00 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0,
		  NULL, SF_CDB(1) },
	};

	RUN(cases, 0);
}
END_TEST

/* The list of all commands is that of those which are carried out. */
START_TEST(test_opcodes_all)
{
	struct sf_case c = { "all", "a3 0c 00 00 00 00 00 00 10 00", NULL, 4096, SF_GOOD };
	const struct sf_params params = { 0 };
	struct scsi_cmd cmd;
	struct iovec iov;
	struct sf sf;
	char cdb[16];
	size_t i, n;

	sf_open(&sf, &params);
	sf_cmd(&sf, &cmd, c.cdb);
	iov = (struct iovec){ sf.in, 4096 };
	cmd.in = &iov;
	cmd.in_cnt = 1;
	cmd.in_len = 4096;
	sf_start(&sf, &cmd);
	sf_wait(&sf, &cmd);
	ck_assert_uint_eq(sf_end(&cmd), SF_GOOD);
	n = (size_t)sf.in[2] << 8 | sf.in[3];
	ck_assert_uint_eq(cmd.transferred, 4 + n);
	ck_assert_uint_gt(n, 50 * 8);
	for (i = 4; i < 4 + n; i += 8) {
		snprintf(cdb, sizeof(cdb), "%02x %02x", sf.in[i], sf.in[i + 3]);
		sf_cmd(&sf, &cmd, cdb);
		sf_start(&sf, &cmd);
		sf_wait(&sf, &cmd);
		if (cmd.outcome == SCSI_DONE && cmd.status == SCSI_CHECK_CONDITION)
			ck_assert_msg(sf_end(&cmd) != 0x052000, "%s is not there", cdb);
	}
	sf_close(&sf);
}
END_TEST

/*
 * Every bit which means nothing costs a command INVALID FIELD IN CDB that points at it.  Which do,
 * the unit tells; some of it is in test_opcodes.
 */
static void reserved_bits(struct sf *sf, const uint8_t *usage, unsigned int len, bool action)
{
	unsigned int byte, bit;
	struct scsi_cmd cmd;

	for (byte = 1; byte < len; byte++) {
		for (bit = 0; bit < 8; bit++) {
			/* Another service action is another command. */
			if (usage[byte] & 1u << bit || (action && byte == 1 && bit < 5))
				continue;
			sf_cmd(sf, &cmd, "00");
			cmd.cdb[0] = usage[0];
			cmd.cdb[1] = action ? usage[1] & 0x1f : 0;
			cmd.cdb[byte] |= (uint8_t)(1u << bit);
			sf_start(sf, &cmd);
			sf_wait(sf, &cmd);
			ck_assert_msg(sf_end(&cmd) == BAD_CDB &&
				      cmd.sense[15] == (0xc8 | bit) && cmd.sense[17] == byte,
				      "%02x %02x: bit %u of byte %u: %06x", cmd.cdb[0],
				      cmd.cdb[1], bit, byte, sf_end(&cmd));
		}
	}
}

static size_t opcodes_ask(struct sf *sf, const char *cdb, uint8_t *buf, size_t size)
{
	struct iovec iov = { buf, size };
	struct scsi_cmd cmd;

	sf_cmd(sf, &cmd, cdb);
	cmd.in = &iov;
	cmd.in_cnt = 1;
	cmd.in_len = size;
	sf_start(sf, &cmd);
	sf_wait(sf, &cmd);
	ck_assert_uint_eq(sf_end(&cmd), SF_GOOD);
	return cmd.transferred;
}

START_TEST(test_reserved_bits)
{
	static const struct sf_params params[] = { { 0 }, { .cdrom = true } };
	uint8_t all[4096], one[64];
	size_t len, i, n;
	char cdb[64];
	struct sf sf;

	sf_open(&sf, &params[_i]);
	len = opcodes_ask(&sf, "a3 0c 00 00 00 00 00 00 10 00", all, sizeof(all));
	ck_assert_uint_gt(len, 20 * 8);
	for (i = 4; i < len; i += 8) {
		const bool action = all[i + 5] & 0x01;

		snprintf(cdb, sizeof(cdb), "a3 0c 03 %02x %02x %02x 00 00 00 40", all[i],
			 all[i + 2], all[i + 3]);
		n = opcodes_ask(&sf, cdb, one, sizeof(one));
		ck_assert_uint_eq(n, 4u + all[i + 7]);
		reserved_bits(&sf, one + 4, all[i + 7], action);
	}
	sf_close(&sf);
}
END_TEST

START_TEST(test_diagnostic)
{
	static const struct sf_case cases[] = {
		{ "self-test", "1d 04 00 00 00 00" },
		{ "with the device offline", "1d 07 00 00 00 00" },
		{ "nothing", "1d 10 00 00 00 00" },
		{ "another test", "1d 20 00 00 00 00", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(1) },
		{ "pages", "1d 10 00 00 04 00", "00*4", 0, BAD_CDB, 0, NULL, SF_CDB(4) },
	};

	RUN(cases, 0);
}
END_TEST

START_TEST(test_start_stop)
{
	static const struct sf_case cases[] = {
		{ "stop", "1b 00 00 00 00" },
		{ "not ready", "00", NULL, 0, 0x020402 },
		{ "nor for READ", "28 00 00*4 00 00 01", NULL, 512, 0x020402 },
		{ "nor READ CAPACITY", "25", NULL, 8, 0x020402 },
		{ "nor UNMAP", "42", NULL, 0, 0x020402 },
		{ "INQUIRY", "12 00 00 00 24", NULL, 36, SF_GOOD, 36 },
		{ "MODE SENSE", "1a 08 3f 00 ff", NULL, 255, SF_GOOD, 60 },
		{ "start", "1b 01 00 00 01" },
		{ "ready", "00" },
		{ "stop without flush", "1b 00 00 00 04" },
		{ "start", "1b 00 00 00 01" },
		{ "eject", "1b 00 00 00 02", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(4) },
		{ "power condition", "1b 00 00 00 30", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(4) },
		{ "modifier", "1b 00 00 01 01", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(3) },
		{ "prevent", "1e 00 00 00 01" },
		{ "allow", "1e 00 00 00 00" },
		{ "persistent prevent", "1e 00 00 00 02", NULL, 0, BAD_CDB, 0, NULL, SF_CDB(4) },
	};

	RUN(cases, 0);
}
END_TEST

/*
 * The sequence with which Windows' disk class driver comes, with its lengths: some of it has to be
 * refused, in the way which it understands.
 */
START_TEST(test_windows)
{
	static const struct sf_case cases[] = {
		{ "INQUIRY", "12 00 00 00 24", NULL, 36, SF_GOOD, 36, "00 00 06" },
		{ "INQUIRY, all", "12 00 00 00 60", NULL, 96, SF_GOOD, 96 },
		{ "pages", "12 01 00 00 ff", NULL, 255, SF_GOOD, 11 },
		{ "identification", "12 01 83 00 ff", NULL, 255, SF_GOOD, 57 },
		{ "serial number", "12 01 80 00 ff", NULL, 255, SF_GOOD, 9 },
		{ "REPORT LUNS", "a0 00 00 00 00 00 00 00 10 00", NULL, 4096, SF_GOOD, 16 },
		{ "TEST UNIT READY", "00" },
		{ "READ CAPACITY (10)", "25", NULL, 8, SF_GOOD, 8 },
		{ "READ CAPACITY (16)", "9e 10 00*8 00 00 00 20", NULL, 32, SF_GOOD, 32 },
		{ "caching", "1a 00 08 00 c0", NULL, 192, SF_GOOD, 32, "1f 00 10 08" },
		{ "all pages", "1a 00 3f 00 c0", NULL, 192, SF_GOOD, 68 },
		{ "all pages (10)", "5a 00 3f 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 72 },
		{ "exceptions", "1a 00 1c 00 c0", NULL, 192, SF_GOOD, 24 },
		{ "predicted failure", "4d 00 6f 00 00 00 00 02 00", NULL, 512, SF_GOOD, 12 },
		{ "block limits", "12 01 b0 00 40", NULL, 64, SF_GOOD, 64 },
		{ "characteristics", "12 01 b1 00 40", NULL, 64, SF_GOOD, 64 },
		{ "provisioning", "12 01 b2 00 40", NULL, 64, SF_GOOD, 8 },
		{ "power condition page", "1a 08 1a 00 c0", NULL, 192, BAD_CDB },
		{ "third-party copy", "12 01 8f 00 ff", NULL, 255, BAD_CDB },
		{ "ATA pass-through", "85 08 0e 00 00 00 01 00 00 00 00 00 00 40 ec 00", NULL, 512,
		  0x052000 },
		{ "target port groups", "a3 0a 00 00 00 00 00 00 00 ff", NULL, 255, BAD_CDB },
		{ "supported READ (16)", "a3 0c 01 88 00 00 00 00 00 20", NULL, 32, SF_GOOD, 20 },
		{ "PERSISTENT RESERVE IN", "5e 00 00 00 00 00 00 01 00", NULL, 256, SF_GOOD, 8 },
		{ "first block", "28 00 00*4 00 00 01", NULL, 512, SF_GOOD, 512 },
		{ "with FUA", "2a 08 00*4 00 00 01", "22*512", 0, SF_GOOD, 512 },
		{ "flush", "35 00 00 00 00 00 00 00 00" },
		{ "trim", "42 00 00 00 00 00 00 00 18", "00 16 00 10 00*4 00*6 00 08 00 00 00 08 "
		  "00*4", 0, SF_GOOD, 24 },
		{ "stop", "1b 00 00 00 00" },
		{ "start", "1b 00 00 00 01" },
	};

	RUN(cases, 0);
}
END_TEST

static Suite *primary_suite(void)
{
	Suite *s = suite_create("scsi_primary");
	TCase *tc = tcase_create("primary");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_inquiry);
	tcase_add_test(tc, test_no_unit);
	tcase_add_test(tc, test_report_luns);
	tcase_add_test(tc, test_report_many_luns);
	tcase_add_test(tc, test_request_sense);
	tcase_add_test(tc, test_mode_sense);
	tcase_add_test(tc, test_mode_select);
	tcase_add_test(tc, test_log_sense);
	tcase_add_test(tc, test_opcodes);
	tcase_add_test(tc, test_opcodes_all);
	tcase_add_loop_test(tc, test_reserved_bits, 0, 2);
	tcase_add_test(tc, test_diagnostic);
	tcase_add_test(tc, test_start_stop);
	tcase_add_test(tc, test_windows);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(primary_suite());
}
