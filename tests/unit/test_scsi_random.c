/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random commands, several at a time: each ends once, with sense data where it has to be, and
 * nothing but what it says is transferred.
 */
#include <stdio.h>
#include <string.h>

#include "scsi_fixture.h"

#define ROUNDS		800u
#define AT_A_TIME	8u
#define ROOM		(64u << 10)	/* bytes of data each way */
#define GUARD		64u

struct shot {
	struct scsi_cmd cmd;
	struct iovec out[3], in[3];
	uint8_t data_out[ROOM], data_in[ROOM + GUARD];
};

static uint64_t seed;

/* xorshift */
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static unsigned int rnd_iov(struct iovec iov[3], uint8_t *buf, size_t len)
{
	size_t first = len ? rnd() % len : 0;

	iov[0] = (struct iovec){ buf, first };
	iov[1] = (struct iovec){ buf + first, 0 };
	iov[2] = (struct iovec){ buf + first, len - first };
	return 3;
}

/* What is likely to get beyond the first check: few bits are set, and lengths are small. */
static void rnd_cdb(uint8_t *cdb)
{
	static const uint8_t codes[] = {
		0x00, 0x03, 0x04, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x1e, 0x25, 0x28,
		0x2a, 0x2e, 0x2f, 0x34, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x4d, 0x51, 0x52,
		0x55, 0x56, 0x57, 0x5a, 0x5e, 0x5f, 0x88, 0x89, 0x8a, 0x8b, 0x8e, 0x8f, 0x90,
		0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa, 0xae, 0xaf, 0xbb, 0xbd, 0xbe,
	};
	static const uint8_t actions[] = { 0, 1, 2, 3, 4, 5, 6, 7, 0x0c, 0x0d, 0x10, 0x12 };
	unsigned int i, n = rnd() % 6;

	memset(cdb, 0, SCSI_CDB_MAX);
	cdb[0] = rnd() % 8 ? codes[rnd() % sizeof(codes)] : (uint8_t)rnd();
	if (cdb[0] == 0x5e || cdb[0] == 0x5f || cdb[0] == 0x9e || cdb[0] == 0xa3)
		cdb[1] = actions[rnd() % sizeof(actions)];
	for (i = 0; i < n; i++)
		cdb[1 + rnd() % 15] |= (uint8_t)(rnd() & rnd());
}

static void shot_fire(struct sf *sf, struct shot *shot)
{
	struct scsi_cmd *cmd = &shot->cmd;
	size_t i;

	sf->initiator = rnd() % 3;
	sf_cmd(sf, cmd, "00");
	rnd_cdb(cmd->cdb);
	cmd->attr = rnd() % 4;
	cmd->out_len = rnd() % 3 ? 0 : rnd() % ROOM;
	cmd->in_len = rnd() % 3 ? rnd() % ROOM : 0;
	for (i = 0; i < cmd->out_len; i++)
		shot->data_out[i] = rnd() % 4 ? 0 : (uint8_t)rnd();
	memset(shot->data_in, 0x5a, sizeof(shot->data_in));
	cmd->out_cnt = rnd_iov(shot->out, shot->data_out, cmd->out_len);
	cmd->in_cnt = rnd_iov(shot->in, shot->data_in, cmd->in_len);
	cmd->out = shot->out;
	cmd->in = shot->in;
	scsi_submit(sf->nexus, cmd);
}

static void shot_check(const struct shot *shot)
{
	const struct scsi_cmd *cmd = &shot->cmd;
	size_t i;

	sf_end(cmd);
	ck_assert_uint_le(cmd->transferred, MAX(cmd->in_len, cmd->out_len));
	ck_assert_uint_le(cmd->sense_len, SCSI_SENSE_MAX);
	for (i = cmd->in_len; i < cmd->in_len + GUARD; i++)
		ck_assert_uint_eq(shot->data_in[i], 0x5a);
}

START_TEST(test_random)
{
	static const struct sf_params params[] = {
		{ 0 }, { .block_size = 4096 }, { .read_only = true }, { .cdrom = true },
		{ .later = true }, { .fault = "read@4096:EIO,write@8192:ENOSPC,zeroes:EIO*3" },
	};
	static struct shot shots[AT_A_TIME];
	unsigned int round, i;
	struct sf sf;

	seed = 0x9e3779b97f4a7c15 + (unsigned int)_i;
	sf_open(&sf, &params[_i]);
	for (round = 0; round < TAP_TIMES(ROUNDS); round++) {
		for (i = 0; i < AT_A_TIME; i++)
			shot_fire(&sf, &shots[i]);
		scsi_commit(sf.nexus);
		for (i = 0; i < AT_A_TIME; i++) {
			sf_wait(&sf, &shots[i].cmd);
			shot_check(&shots[i]);
		}
	}
	sf_close(&sf);
}
END_TEST

static Suite *random_suite(void)
{
	Suite *s = suite_create("scsi_random");
	TCase *tc = tcase_create("random");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_random, 0, 6);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(random_suite());
}
