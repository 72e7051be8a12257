/* SPDX-License-Identifier: BSD-3-Clause */
/* A CD-ROM (MMC-6): what initiators ask a drive, and reading. */
#include <string.h>

#include "scsi_fixture.h"

/* 1000 blocks: the lead-out is at 0:13:25 + 0:02:00. */
#define SIZE	(1000u * 2048)

/* One after the other: what a command says may be due to one before. */
static const struct sf_case cdrom_cases[] = {
	{ "INQUIRY", "12 00 00 00 24", NULL, 36, SF_GOOD, 36, "05 80 06 12" },
	{ "pages", "12 01 00 00 ff", NULL, 255, SF_GOOD, 8, "05 00 00 04 00 80 83 86" },
	{ "block limits", "12 01 b0 00 ff", NULL, 255, BAD_CDB },
	{ "capacity", "25", NULL, 8, SF_GOOD, 8, "00 00 03 e7 00 00 08 00" },
	{ "READ", "28 00 00 00 00 02 00 00 01", NULL, 2048, SF_GOOD, 2048, "03*2048" },
	{ "last", "28 00 00 00 03 e7 00 00 01", NULL, 2048, SF_GOOD, 2048, "e8*2048" },
	{ "beyond", "28 00 00 00 03 e8 00 00 01", NULL, 2048, 0x052100 },
	{ "READ (12)", "a8 00 00 00 00 02 00 00 00 01", NULL, 2048, SF_GOOD, 2048,
	  "03*2048" },
	{ "no WRITE", "2a 00 00 00 00 02 00 00 01", "00*2048", 0, BAD_OPCODE },
	{ "no READ (16)", "88 00 00*8 00 00 00 01", NULL, 2048, BAD_OPCODE },
	{ "no reservations", "5e 00 00 00 00 00 00 00 ff", NULL, 255, BAD_OPCODE },
	{ "TOC", "43 00 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 20,
	  "00 12 01 01 00 14 01 00 00*4 00 14 aa 00 00 00 03 e8" },
	{ "TOC, MSF", "43 02 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 20,
	  "00 12 01 01 00 14 01 00 00 00 02 00 00 14 aa 00 00 00 0f 19" },
	{ "TOC, lead-out", "43 00 00 00 00 00 aa 00 ff", NULL, 255, SF_GOOD, 12,
	  "00 0a 01 01 00 14 aa 00 00 00 03 e8" },
	{ "TOC, track 2", "43 00 00 00 00 00 02 00 ff", NULL, 255, BAD_CDB, 0, NULL,
	  SF_CDB(6) },
	{ "TOC, a part", "43 00 00 00 00 00 00 00 04", NULL, 4, SF_GOOD, 4, "00 12 01 01" },
	{ "sessions", "43 00 01 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 12,
	  "00 0a 01 01 00 14 01 00 00*4" },
	{ "full TOC", "43 02 02 00 00 00 01 00 ff", NULL, 255, SF_GOOD, 48,
	  "00 2e 01 01 01 14 00 a0 00*4 01 00 00 01 14 00 a1 00*4 01 00 00 01 14 00 a2 "
	  "00*4 00 0f 19 01 14 00 01 00*4 00 02 00" },
	{ "PMA", "43 02 03 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL, SF_CDB(2) },
	{ "all features", "46 00 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 68,
	  "00 00 00 40 00 00 00 08 00 00 03 08 00 10 00 00 00 08 01 00 "
	  "00 01 0b 08 00 00 00 01 01 00 00 00 00 03 07 04 29 00 00 00 "
	  "00 10 01 08 00 00 08 00 00 10 00 00 00 1e 09 04 00*4 00 1f 00 04 00*4" },
	{ "current ones", "46 01 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 60,
	  "00 00 00 38" },
	{ "one", "46 02 00 03 00 00 00 00 ff", NULL, 255, SF_GOOD, 16,
	  "00 00 00 0c 00 00 00 08 00 03 07 04 29 00 00 00" },
	{ "none such", "46 02 00 02 00 00 00 00 ff", NULL, 255, SF_GOOD, 8,
	  "00 00 00 04 00 00 00 08" },
	{ "from one on", "46 00 00 1e 00 00 00 00 ff", NULL, 255, SF_GOOD, 24 },
	{ "RT", "46 03 00 00 00 00 00 00 ff", NULL, 255, BAD_CDB, 0, NULL, SF_CDB(1) },
	{ "event: new medium", "4a 01 00 00 10 00 00 00 08", NULL, 8, SF_GOOD, 8,
	  "00 06 04 10 02 02 00 00" },
	{ "event: none", "4a 01 00 00 10 00 00 00 08", NULL, 8, SF_GOOD, 8,
	  "00 06 04 10 00 02 00 00" },
	{ "event of another class", "4a 01 00 00 02 00 00 00 08", NULL, 8, SF_GOOD, 4,
	  "00 02 80 10" },
	{ "event, asynchronously", "4a 00 00 00 10 00 00 00 08", NULL, 8, BAD_CDB, 0, NULL,
	  SF_CDB(1) },
	{ "disc", "51 00 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 34,
	  "00 20 0e 01 01 01 01 20 00*8 ff*8 00*10" },
	{ "disc, track resources", "51 01 00 00 00 00 00 00 ff", NULL, 255, BAD_CDB },
	{ "track", "52 01 00 00 00 01 00 00 ff", NULL, 255, SF_GOOD, 36,
	  "00 22 01 01 00 04 01 00*17 00 00 03 e8 00*8" },
	{ "track of a block", "52 00 00 00 03 e7 00 00 ff", NULL, 255, SF_GOOD, 36 },
	{ "track beyond", "52 00 00 00 03 e8 00 00 ff", NULL, 255, BAD_CDB },
	{ "track 2", "52 01 00 00 00 02 00 00 ff", NULL, 255, BAD_CDB },
	{ "mechanism", "bd 00 00 00 00 00 00 00 00 08", NULL, 8, SF_GOOD, 8, "00*8" },
	{ "speed", "bb 00 ff ff ff ff" },
	{ "READ CD", "be 00 00 00 00 02 00 00 01 10", NULL, 2048, SF_GOOD, 2048,
	  "03*2048" },
	{ "READ CD, mode 1", "be 08 00 00 00 02 00 00 01 10", NULL, 2048, SF_GOOD, 2048 },
	{ "READ CD, nothing of it", "be 00 00 00 00 02 00 00 01 00" },
	{ "READ CD, raw", "be 00 00 00 00 02 00 00 01 f8", NULL, 2352, BAD_CDB, 0, NULL,
	  SF_CDB(9) },
	{ "READ CD, audio", "be 04 00 00 00 02 00 00 01 10", NULL, 2352, 0x056400 },
	{ "READ CD, beyond", "be 00 00 00 03 e8 00 00 01 10", NULL, 2048, 0x052100 },
	{ "capabilities", "5a 00 2a 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 30,
	  "00 1c 00 00 00*4 2a 14 0b 00 00 00 29" },
	{ "no caching page", "5a 00 08 00 00 00 00 00 ff", NULL, 255, BAD_CDB },
	{ "prevent", "1e 00 00 00 01" },
	{ "locked", "5a 00 2a 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 30,
	  "00 1c 00 00 00*4 2a 14 0b 00 00 00 2b" },
	{ "eject", "1b 00 00 00 02", NULL, 0, 0x055302 },
	{ "allow", "1e 00 00 00 00" },
	{ "eject", "1b 00 00 00 02" },
	{ "no medium", "00", NULL, 0, 0x023a02 },
	{ "nor to be read", "28 00 00*4 00 00 01", NULL, 2048, 0x023a02 },
	{ "sense", "03 00 00 00 12", NULL, 18, SF_GOOD, 18, "70 00 02 ..*9 3a 02" },
	{ "event: removal", "4a 01 00 00 10 00 00 00 08", NULL, 8, SF_GOOD, 8,
	  "00 06 04 10 03 01 00 00" },
	{ "door", "bd 00 00 00 00 00 00 00 00 08", NULL, 8, SF_GOOD, 8, "00 10" },
	{ "no profile", "46 02 00 10 00 00 00 00 ff", NULL, 255, SF_GOOD, 20,
	  "00 00 00 10 00 00 00 00 00 10 00" },
	{ "load", "1b 00 00 00 03" },
	{ "medium changed", "00", NULL, 0, 0x062800 },
	{ "ready", "00" },
	{ "event: new medium", "4a 01 00 00 10 00 00 00 08", NULL, 8, SF_GOOD, 8,
	  "00 06 04 10 02 02 00 00" },
};

START_TEST(test_cdrom)
{
	const struct sf_params params = { .cdrom = true, .size = SIZE, .read_only = true };
	struct sf sf;
	size_t i;

	sf_open(&sf, &params);
	for (i = 0; i < SIZE; i++)
		sf.image[i] = (uint8_t)(i / 2048 + 1);
	SF_RUN(&sf, cdrom_cases);
	sf_close(&sf);
}
END_TEST

/* What has no room on a CD is a DVD. */
START_TEST(test_dvd)
{
	static const struct sf_case cases[] = {
		{ "profile", "46 02 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 20,
		  "00 00 00 10 00 00 00 10 00 00 03 08 00 10 01 00 00 08 00 00" },
		{ "lead-out", "43 00 00 00 00 00 aa 00 ff", NULL, 255, SF_GOOD, 12,
		  "00 0a 01 01 00 14 aa 00 00 08 00 00" },
	};
	const struct sf_params params = { .cdrom = true, .size = 1u << 30, .read_only = true };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

static Suite *cdrom_suite(void)
{
	Suite *s = suite_create("scsi_cdrom");
	TCase *tc = tcase_create("cdrom");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_cdrom);
	tcase_add_test(tc, test_dvd);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(cdrom_suite());
}
