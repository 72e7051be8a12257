/* SPDX-License-Identifier: BSD-3-Clause */
/* Reservations: who may do what while somebody has one, and how they come and go. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scsi_fixture.h"

#define BAD_RELEASE	0x052604

/* Parameter lists of PERSISTENT RESERVE OUT: key, action key, flags. */
#define KEYS(key, action)	"00*7 " key " 00*7 " action " 00*4 00 00*3"
#define APTPL(key, action)	"00*7 " key " 00*7 " action " 00*4 01 00*3"
#define OUT(action, type)	"5f " action " " type " 00 00 00 00 00 18"

/* What most tests begin with: initiators 1 and 2 have registered keys a1 and a2. */
static const struct sf_case registered[] = {
	{ "1 registers", OUT("00", "00"), KEYS("00", "a1"), 0, SF_GOOD, 24, .initiator = 1 },
	{ "2 registers", OUT("00", "00"), KEYS("00", "a2"), 0, SF_GOOD, 24, .initiator = 2 },
};

static void reserve(struct sf *sf, uint32_t initiator, const char *type)
{
	char cdb[64], list[80];
	const struct sf_case c = { "reserve", cdb, list, 0, SF_GOOD, 24, .initiator = initiator };

	snprintf(cdb, sizeof(cdb), OUT("01", "%s"), type);
	snprintf(list, sizeof(list), KEYS("a%u", "00"), initiator);
	sf_run(sf, &c);
}

/*
 * SPC-4 table 68 and SBC-3 table 14, and SPC-2 table 9: what another initiator may do under a
 * reservation
 */
enum { NEVER = 0, UNDER_WE = 1, UNDER_EA = 2, UNDER_RESERVE = 4,
       PERSISTENT = UNDER_WE | UNDER_EA, ALWAYS = PERSISTENT | UNDER_RESERVE };

static const struct rule {
	unsigned int may;
	struct sf_case c;
} rules[] = {
	{ ALWAYS, { "INQUIRY", "12 00 00 00 24", NULL, 36, SF_GOOD, 36 } },
	{ ALWAYS, { "REPORT LUNS", "a0 00 00 00 00 00 00 00 00 10", NULL, 16, SF_GOOD, 16 } },
	{ ALWAYS, { "REQUEST SENSE", "03 00 00 00 12", NULL, 18, SF_GOOD, 18 } },
	{ ALWAYS, { "LOG SENSE", "4d 00 40 00 00 00 00 00 09", NULL, 9, SF_GOOD, 9 } },
	{ ALWAYS, { "READ CAPACITY (10)", "25", NULL, 8, SF_GOOD, 8 } },
	{ ALWAYS, { "READ CAPACITY (16)", "9e 10 00*8 00 00 00 20", NULL, 32, SF_GOOD, 32 } },
	{ NEVER, { "SEND DIAGNOSTIC", "1d 04" } },
	{ NEVER, { "STOP", "1b 00 00 00 04" } },
	{ ALWAYS, { "START", "1b 00 00 00 01" } },
	{ ALWAYS, { "ALLOW", "1e 00 00 00 00" } },
	{ NEVER, { "PREVENT", "1e 00 00 00 01" } },
	{ PERSISTENT, { "TEST UNIT READY", "00" } },
	{ PERSISTENT, { "GET LBA STATUS", "9e 12 00*8 00 00 00 18", NULL, 24, SF_GOOD, 24 } },
	{ PERSISTENT, { "READ CAPABILITIES", "5e 02 00 00 00 00 00 00 08", NULL, 8, SF_GOOD, 8 } },
	{ UNDER_WE, { "READ (6)", "08 00 00 00 01", NULL, 512, SF_GOOD, 512 } },
	{ UNDER_WE, { "READ (10)", "28 00 00*4 00 00 01", NULL, 512, SF_GOOD, 512 } },
	{ UNDER_WE, { "READ (12)", "a8 00 00*4 00 00 00 01", NULL, 512, SF_GOOD, 512 } },
	{ UNDER_WE, { "READ (16)", "88 00 00*8 00 00 00 01", NULL, 512, SF_GOOD, 512 } },
	{ UNDER_WE, { "VERIFY (10)", "2f 00 00*4 00 00 01" } },
	{ UNDER_WE, { "VERIFY (16)", "8f 00 00*8 00 00 00 01" } },
	{ UNDER_WE, { "PRE-FETCH", "34 00 00*4 00 00 01" } },
	{ UNDER_WE, { "MODE SENSE (6)", "1a 08 08 00 ff", NULL, 255, SF_GOOD, 24 } },
	{ UNDER_WE, { "MODE SENSE (10)", "5a 08 08 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 28 } },
	{ UNDER_WE, { "OPERATION CODES", "a3 0c 01 00 00 00 00 00 00 0a", NULL, 10, SF_GOOD, 10 } },
	{ UNDER_WE, { "FUNCTIONS", "a3 0d 00 00 00 00 00 00 00 04", NULL, 4, SF_GOOD, 4 } },
	{ NEVER, { "MODE SELECT", "15 10 00 00 00" } },
	{ NEVER, { "WRITE (6)", "0a 00 00 00 01", "00*512", 0, SF_GOOD, 512 } },
	{ NEVER, { "WRITE (10)", "2a 00 00*4 00 00 01", "00*512", 0, SF_GOOD, 512 } },
	{ NEVER, { "WRITE (12)", "aa 00 00*4 00 00 00 01", "00*512", 0, SF_GOOD, 512 } },
	{ NEVER, { "WRITE (16)", "8a 00 00*8 00 00 00 01", "00*512", 0, SF_GOOD, 512 } },
	{ NEVER, { "WRITE AND VERIFY", "2e 00 00*4 00 00 01", "00*512", 0, SF_GOOD, 512 } },
	{ NEVER, { "WRITE SAME", "93 01 00*8 00 00 00 01" } },
	{ NEVER, { "FORMAT UNIT", "04" } },
	{ NEVER, { "UNMAP", "42 00 00 00 00 00 00 00 00" } },
	{ NEVER, { "ORWRITE", "8b 00 00*8 00 00 00 00" } },
	{ NEVER, { "COMPARE AND WRITE", "89 00 00*8 00 00 00 00" } },
	{ NEVER, { "SYNCHRONIZE CACHE", "35" } },
};

static void rules_check(struct sf *sf, uint32_t initiator, unsigned int under)
{
	struct sf_case c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		c = rules[i].c;
		c.initiator = initiator;
		if (under && !(rules[i].may & under)) {
			c.end = SF_CONFLICT;
			c.transferred = 0;
		}
		sf_run(sf, &c);
	}
}

START_TEST(test_conflicts)
{
	static const struct { const char *type; unsigned int other, registrant; } types[] = {
		{ "01", UNDER_WE, UNDER_WE }, { "03", UNDER_EA, UNDER_EA },
		{ "05", UNDER_WE, 0 }, { "06", UNDER_EA, 0 },
		{ "07", UNDER_WE, 0 }, { "08", UNDER_EA, 0 },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, registered);
	rules_check(&sf, 3, 0);
	reserve(&sf, 1, types[_i].type);
	rules_check(&sf, 1, 0);
	rules_check(&sf, 2, types[_i].registrant);
	rules_check(&sf, 3, types[_i].other);
	sf_close(&sf);
}
END_TEST

START_TEST(test_spc2)
{
	static const struct sf_case before[] = {
		{ "1 reserves", "16", .initiator = 1 },
		{ "and again", "16", .initiator = 1 },
		{ "2 does not", "16", .end = SF_CONFLICT, .initiator = 2 },
		{ "nor by (10)", "56", .end = SF_CONFLICT, .initiator = 2 },
		{ "nor registers", OUT("00", "00"), KEYS("00", "a2"), 0, SF_CONFLICT,
		  .initiator = 2 },
		{ "2 releases in vain", "17", .initiator = 2 },
		{ "extent", "16 01", .end = BAD_CDB, .initiator = 1 },
	};
	static const struct sf_case after[] = {
		{ "1 releases", "57", .initiator = 1 },
		{ "2 reserves", "56", .initiator = 2 },
		{ "1 does not", "16", .end = SF_CONFLICT, .initiator = 1 },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, before);
	rules_check(&sf, 1, 0);
	rules_check(&sf, 2, UNDER_RESERVE);
	SF_RUN(&sf, after);
	scsi_target_reset(sf.target);
	sf_run(&sf, &(struct sf_case){ "power on", "00", .end = 0x062901 });
	rules_check(&sf, 1, 0);
	sf_close(&sf);
}
END_TEST

/* SPC-4 5.13.3: RESERVE where there are registrations. */
START_TEST(test_both)
{
	static const struct sf_case cases[] = {
		{ "registered, no reservation", "16", .end = SF_CONFLICT, .initiator = 1 },
		{ "not registered", "16", .end = SF_CONFLICT, .initiator = 3 },
	};
	static const struct sf_case reserved[] = {
		{ "the holder", "16", .initiator = 1 },
		{ "which does not count", "00", .initiator = 2 },
		{ "releases", "17", .initiator = 1 },
		{ "a registrant", "16", .end = SF_CONFLICT, .initiator = 2 },
		{ "others", "17", .end = SF_CONFLICT, .initiator = 3 },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, registered);
	SF_RUN(&sf, cases);
	reserve(&sf, 1, "03");
	SF_RUN(&sf, reserved);
	sf_close(&sf);
}
END_TEST

#define READ_KEYS	"5e 00 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD
#define READ_HOLDER	"5e 01 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD

START_TEST(test_register)
{
	static const struct sf_case cases[] = {
		{ "none", READ_KEYS, 8, "00*8" },
		{ "with a key of nobody", OUT("00", "00"), KEYS("01", "a1"), 0, SF_CONFLICT,
		  .initiator = 1 },
		{ "nothing", OUT("00", "00"), KEYS("00", "00"), 0, SF_GOOD, 24, .initiator = 1 },
		{ "counts", READ_KEYS, 8, "00 00 00 01 00*4" },
		{ "1", OUT("00", "00"), KEYS("00", "a1"), 0, SF_GOOD, 24, .initiator = 1 },
		{ "without its key", OUT("00", "00"), KEYS("00", "b1"), 0, SF_CONFLICT,
		  .initiator = 1 },
		{ "anew", OUT("00", "00"), KEYS("a1", "b1"), 0, SF_GOOD, 24, .initiator = 1 },
		{ "2, ignoring", OUT("06", "00"), KEYS("ff", "a2"), 0, SF_GOOD, 24,
		  .initiator = 2 },
		{ "both", READ_KEYS, 24, "00 00 00 04 00 00 00 10 00*7 b1 00*7 a2" },
		{ "a part", "5e 00 00 00 00 00 00 00 0a", NULL, 255, SF_GOOD, 10,
		  "00 00 00 04 00 00 00 10 00*2" },
		{ "full status", "5e 03 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 8 + 2 * 48,
		  "00 00 00 04 00 00 00 60 00*7 b1 00*4 00 00 00*4 00 01 00 00 00 18 0f 00*19 "
		  "00 00 00 01 00*7 a2" },
		{ "2 goes", OUT("00", "00"), KEYS("a2", "00"), 0, SF_GOOD, 24, .initiator = 2 },
		{ "2 may not reserve", OUT("01", "01"), KEYS("a2", "00"), 0, SF_CONFLICT,
		  .initiator = 2 },
		{ "1, wrong key", OUT("01", "01"), KEYS("a1", "00"), 0, SF_CONFLICT,
		  .initiator = 1 },
		{ "type", OUT("01", "02"), KEYS("b1", "00"), 0, BAD_CDB, .initiator = 1 },
		{ "type", OUT("01", "09"), KEYS("b1", "00"), 0, BAD_CDB, .initiator = 1 },
		{ "scope", OUT("01", "11"), KEYS("b1", "00"), 0, BAD_CDB, .initiator = 1 },
		{ "no reservation", READ_HOLDER, 8, "00 00 00 05 00*4" },
		{ "1 reserves", OUT("01", "01"), KEYS("b1", "00"), 0, SF_GOOD, 24,
		  .initiator = 1 },
		{ "its reservation", READ_HOLDER, 24,
		  "00 00 00 05 00 00 00 10 00*7 b1 00*4 00 01 00 00" },
		{ "the same again", OUT("01", "01"), KEYS("b1", "00"), 0, SF_GOOD, 24,
		  .initiator = 1 },
		{ "another one", OUT("01", "03"), KEYS("b1", "00"), 0, SF_CONFLICT,
		  .initiator = 1 },
		{ "releases another", OUT("02", "03"), KEYS("b1", "00"), 0, BAD_RELEASE,
		  .initiator = 1 },
		{ "releases", OUT("02", "01"), KEYS("b1", "00"), 0, SF_GOOD, 24,
		  .initiator = 1 },
		{ "once more", OUT("02", "01"), KEYS("b1", "00"), 0, SF_GOOD, 24,
		  .initiator = 1 },
		{ "list too short", "5f 00 00 00 00 00 00 00 17", "00*23", 0, BAD_LENGTH },
		{ "list too long", "5f 00 00 00 00 00 00 00 19", "00*25", 0, BAD_LENGTH },
		{ "far too long", "5f 00 00 00 00 ff ff ff ff", "00*24", 0, SF_OVERRUN },
		{ "no list", "5f 00 00 00 00 00 00 00 00", NULL, 0, BAD_LENGTH },
		{ "SPEC_I_PT", OUT("00", "00"), "00*20 08 00*3", 0, BAD_PARAM },
		{ "ALL_TG_PT", OUT("00", "00"), "00*20 04 00*3", 0, BAD_PARAM },
		{ "APTPL without a file", OUT("00", "00"), "00*20 01 00*3", 0, BAD_PARAM },
		{ "no such action", OUT("08", "00"), "00*24", 0, BAD_CDB },
		{ "nor of IN", "5e 04 00 00 00 00 00 00 ff", NULL, 255, BAD_CDB },
		{ "capabilities", "5e 02 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 8,
		  "00 08 10 80 ea 01 00 00" },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

START_TEST(test_unregister)
{
	static const struct sf_case holder_goes[] = {
		{ "the holder goes", OUT("00", "00"), KEYS("a1", "00"), 0, SF_GOOD, 24,
		  .initiator = 1 },
		{ "others are told", "00", .end = 0x062a04, .initiator = 2 },
		{ "and there is none", READ_HOLDER, 8 },
	};
	static const struct sf_case all_go[] = {
		{ "1 goes", OUT("00", "00"), KEYS("a1", "00"), 0, SF_GOOD, 24, .initiator = 1 },
		{ "it lasts", READ_HOLDER, 24, "..*8 00*8 00*4 00 08 00 00" },
		{ "2 goes", OUT("00", "00"), KEYS("a2", "00"), 0, SF_GOOD, 24, .initiator = 2 },
		{ "it ends", READ_HOLDER, 8 },
		{ "silently", "00", .initiator = 1 },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, registered);
	reserve(&sf, 1, "05");
	SF_RUN(&sf, holder_goes);
	sf_close(&sf);
	sf_open(&sf, &params);
	SF_RUN(&sf, registered);
	reserve(&sf, 1, "08");
	SF_RUN(&sf, all_go);
	sf_close(&sf);
}
END_TEST

START_TEST(test_preempt)
{
	static const struct sf_case cases[] = {
		{ "with no key of anybody", OUT("04", "03"), KEYS("a2", "ee"), 0, SF_CONFLICT,
		  .initiator = 2 },
		{ "with 0", OUT("04", "03"), KEYS("a2", "00"), 0, BAD_PARAM, .initiator = 2 },
		{ "type", OUT("04", "02"), KEYS("a2", "a1"), 0, BAD_CDB, .initiator = 2 },
		{ "not registered", OUT("04", "03"), KEYS("a2", "a1"), 0, SF_CONFLICT,
		  .initiator = 3 },
		{ "2 preempts 1", OUT("04", "03"), KEYS("a2", "a1"), 0, SF_GOOD, 24,
		  .initiator = 2 },
		{ "1 is told", "00", .end = 0x062a05, .initiator = 1 },
		{ "2 has it", READ_HOLDER, 24, "00 00 00 03 00 00 00 10 00*7 a2 00*4 00 03" },
		{ "1 is gone", READ_KEYS, 16, "00 00 00 03 00 00 00 08 00*7 a2" },
		{ "1 cannot read", "28 00 00*4 00 00 01", NULL, 512, SF_CONFLICT, .initiator = 1 },
		{ "1 comes again", OUT("00", "00"), KEYS("00", "a1"), 0, SF_GOOD, 24,
		  .initiator = 1 },
		{ "2 preempts itself", OUT("05", "05"), KEYS("a2", "a2"), 0, SF_GOOD, 24,
		  .initiator = 2 },
		{ "others are told", "00", .end = 0x062a04, .initiator = 1 },
		{ "2 has another type", READ_HOLDER, 24, "..*8 00*7 a2 00*4 00 05" },
		{ "2 clears 1's registration", OUT("04", "05"), KEYS("a2", "a1"), 0, SF_GOOD, 24,
		  .initiator = 2 },
		{ "1 is told", "00", .end = 0x062a05, .initiator = 1 },
		{ "2 still has it", READ_HOLDER, 24, "..*8 00*7 a2 00*4 00 05" },
		{ "clear", OUT("03", "00"), KEYS("a2", "00"), 0, SF_GOOD, 24, .initiator = 2 },
		{ "nothing is left", READ_KEYS, 8, "00 00 00 07 00*4" },
		{ "no reservation", READ_HOLDER, 8 },
	};
	static const struct sf_case all[] = {
		{ "one of them", OUT("04", "08"), KEYS("a2", "a1"), 0, SF_GOOD, 24,
		  .initiator = 2 },
		{ "1 is told", "00", .end = 0x062a05, .initiator = 1 },
		{ "it lasts", READ_HOLDER, 24, "..*8 00*8 00*4 00 07" },
		{ "1 comes again", OUT("00", "00"), KEYS("00", "a1"), 0, SF_GOOD, 24,
		  .initiator = 1 },
		{ "all others", OUT("04", "03"), KEYS("a2", "00"), 0, SF_GOOD, 24,
		  .initiator = 2 },
		{ "are told", "00", .end = 0x062a05, .initiator = 1 },
		{ "2 alone", READ_KEYS, 16, "..*8 00*7 a2" },
		{ "has it", READ_HOLDER, 24, "..*8 00*7 a2 00*4 00 03" },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, registered);
	reserve(&sf, 1, "01");
	SF_RUN(&sf, cases);
	sf_close(&sf);
	sf_open(&sf, &params);
	SF_RUN(&sf, registered);
	reserve(&sf, 1, "07");
	SF_RUN(&sf, all);
	sf_close(&sf);
}
END_TEST

#define MOVE		"5f 07 00 00 00 00 00 00 30"
#define MOVE_LIST(key, action, flags, port, to) \
	"00*7 " key " 00*7 " action " 00 " flags " 00 " port " 00 00 00 18 0f 00*19 00 00 00 " to

START_TEST(test_move)
{
	static const struct sf_case cases[] = {
		{ "not the holder", MOVE, MOVE_LIST("a2", "a3", "00", "01", "03"), 0, SF_CONFLICT,
		  .initiator = 2 },
		{ "to itself", MOVE, MOVE_LIST("a1", "a3", "00", "01", "01"), 0, BAD_PARAM,
		  .initiator = 1 },
		{ "no key", MOVE, MOVE_LIST("a1", "00", "00", "01", "03"), 0, BAD_PARAM,
		  .initiator = 1 },
		{ "another port", MOVE, MOVE_LIST("a1", "a3", "00", "02", "03"), 0, BAD_PARAM,
		  .initiator = 1 },
		{ "without TransportID", OUT("07", "00"), KEYS("a1", "a3"), 0, BAD_LENGTH,
		  .initiator = 1 },
		{ "to 3, and go", MOVE, MOVE_LIST("a1", "a3", "02", "01", "03"), 0, SF_GOOD, 48,
		  .initiator = 1 },
		{ "3 has it", READ_HOLDER, 24, "..*8 00*7 a3 00*4 00 03" },
		{ "1 is gone", READ_KEYS, 24, "..*8 00*7 a2 00*7 a3" },
		{ "3 writes", "2a 00 00*4 00 00 01", "00*512", 0, SF_GOOD, 512, .initiator = 3 },
		{ "1 does not", "2a 00 00*4 00 00 01", "00*512", 0, SF_CONFLICT, .initiator = 1 },
	};
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	SF_RUN(&sf, registered);
	reserve(&sf, 1, "03");
	SF_RUN(&sf, cases);
	sf_close(&sf);
}
END_TEST

/*
 * In a file
 */

struct kept {
	char dir[64], path[80];
};

static void kept_open(struct kept *k)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(k->dir, sizeof(k->dir), "%s/scsi-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(k->dir));
	snprintf(k->path, sizeof(k->path), "%s/pr", k->dir);
}

static void kept_close(struct kept *k)
{
	unlink(k->path);
	ck_assert_int_eq(rmdir(k->dir), 0);
}

START_TEST(test_kept)
{
	static const struct sf_case first[] = {
		{ "can", "5e 02 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 8,
		  "00 08 11 80 ea 01 00 00" },
		{ "1", OUT("00", "00"), APTPL("00", "a1"), 0, SF_GOOD, 24, .initiator = 1 },
		{ "2", OUT("00", "00"), APTPL("00", "a2"), 0, SF_GOOD, 24, .initiator = 2 },
		{ "1 reserves", OUT("01", "03"), KEYS("a1", "00"), 0, SF_GOOD, 24,
		  .initiator = 1 },
		{ "does", "5e 02 00 00 00 00 00 00 ff", NULL, 255, SF_GOOD, 8,
		  "00 08 11 81 ea 01 00 00" },
	};
	static const struct sf_case second[] = {
		{ "keys", READ_KEYS, 24, "00*4 00 00 00 10 00*7 a1 00*7 a2" },
		{ "reservation", READ_HOLDER, 24, "..*8 00*7 a1 00*4 00 03" },
		{ "2 may not write", "2a 00 00*4 00 00 01", "00*512", 0, SF_CONFLICT,
		  .initiator = 2 },
		{ "1 may", "2a 00 00*4 00 00 01", "00*512", 0, SF_GOOD, 512, .initiator = 1 },
		{ "1 clears", OUT("03", "00"), KEYS("a1", "00"), 0, SF_GOOD, 24, .initiator = 1 },
		{ "2 is told", "00", .end = 0x062a03, .initiator = 2 },
		{ "1 again, not kept", OUT("00", "00"), KEYS("00", "a1"), 0, SF_GOOD, 24,
		  .initiator = 1 },
	};
	static const struct sf_case third[] = {
		{ "nothing", READ_KEYS, 8, "00*8" },
	};
	struct kept k;
	struct sf_params params = { .reservations = k.path };
	struct sf sf;

	kept_open(&k);
	sf_open(&sf, &params);
	SF_RUN(&sf, first);
	sf_close(&sf);
	sf_open(&sf, &params);
	SF_RUN(&sf, second);
	sf_close(&sf);
	sf_open(&sf, &params);
	SF_RUN(&sf, third);
	sf_close(&sf);
	kept_close(&k);
}
END_TEST

/* A reset which is like the loss of power keeps what is to be kept, and nothing else. */
START_TEST(test_reset)
{
	static const struct sf_case reg = {
		"1", OUT("00", "00"), KEYS("00", "a1"), 0, SF_GOOD, 24, .initiator = 1,
	};
	static const struct sf_case reg_kept = {
		"1", OUT("00", "00"), APTPL("00", "a1"), 0, SF_GOOD, 24, .initiator = 1,
	};
	static const struct sf_case power_on = { "power on", "00", .end = 0x062901 };
	static const struct sf_case none = { "none", READ_KEYS, 8, "00*8" };
	static const struct sf_case some = { "one", READ_KEYS, 16, "00*4 00 00 00 08 00*7 a1" };
	struct kept k;
	struct sf_params params = { .reservations = k.path };
	struct sf sf;

	kept_open(&k);
	sf_open(&sf, &params);
	sf_run(&sf, &reg);
	scsi_target_reset(sf.target);
	sf_run(&sf, &power_on);
	sf_run(&sf, &none);
	sf_run(&sf, &reg_kept);
	scsi_target_reset(sf.target);
	sf_run(&sf, &power_on);
	sf_run(&sf, &some);
	sf_close(&sf);
	kept_close(&k);
}
END_TEST

/* The file is somebody's: nonsense in it is refused, not repaired. */
START_TEST(test_bad_files)
{
	static const char *const texts[] = {
		"", "something else\n",
		"libvhost persistent reservations 1\nreservation 3 1\n",
		"libvhost persistent reservations 1\nreservation 2 1\nregistration 1 a\n",
		"libvhost persistent reservations 1\nreservation 8 0\n",
		"libvhost persistent reservations 1\nregistration 1 0\n",
		"libvhost persistent reservations 1\nregistration 1 a\nregistration 1 b\n",
		"libvhost persistent reservations 1\nregistration 1 a b\n",
		"libvhost persistent reservations 1\nregistration 1 a",
	};
	const struct sf_params params = { 0 };
	struct scsi_lun_params lp = { .address = { .target = 3, .lun = 1 } };
	char why[200] = "";
	struct kept k;
	struct sf sf;
	FILE *f;

	kept_open(&k);
	f = fopen(k.path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(texts[_i], f);
	fclose(f);
	sf_open(&sf, &params);
	lp.storage = sf.st;
	lp.reservations = k.path;
	ck_assert_int_lt(scsi_lun_add(sf.target, &lp, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "reservations"));
	sf_close(&sf);
	kept_close(&k);
}
END_TEST

/* There is an end to registrations. */
START_TEST(test_many)
{
	struct sf_case c = { "one", OUT("00", "00"), KEYS("00", "a1"), 0, SF_GOOD, 24 };
	const struct sf_params params = { 0 };
	struct sf sf;

	sf_open(&sf, &params);
	for (c.initiator = 0; c.initiator < 64; c.initiator++)
		sf_run(&sf, &c);
	c.end = 0x055504;
	c.transferred = 0;
	sf_run(&sf, &c);
	sf_run(&sf, &(struct sf_case){ "all of them", "5e 03 00 00 00 00 00 10 00", NULL, 4096,
				       SF_GOOD, 8 + 64 * 48, "00 00 00 40 00 00 0c 00" });
	sf_close(&sf);
}
END_TEST

static Suite *reserve_suite(void)
{
	Suite *s = suite_create("scsi_reserve");
	TCase *tc = tcase_create("reserve");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_conflicts, 0, 6);
	tcase_add_test(tc, test_spc2);
	tcase_add_test(tc, test_both);
	tcase_add_test(tc, test_register);
	tcase_add_test(tc, test_unregister);
	tcase_add_test(tc, test_preempt);
	tcase_add_test(tc, test_move);
	tcase_add_test(tc, test_kept);
	tcase_add_test(tc, test_reset);
	tcase_add_loop_test(tc, test_bad_files, 0, 9);
	tcase_add_test(tc, test_many);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(reserve_suite());
}
